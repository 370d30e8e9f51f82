// Pictures of screens for the guides: at most 1200 pixels high, with a palette of 64 colours, which is enough for text.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";

const HIGHEST = 1200;

export async function picture(page, folder, name) {
  const { width, height } = await page.evaluate(() => ({
    width: innerWidth,
    height: Math.max(innerHeight / 2, document.querySelector("main").getBoundingClientRect().bottom),
  }));
  const clip = { x: 0, y: 0, width, height: Math.min(Math.ceil(height), HIGHEST) };
  const png = await page.screenshot({ fullPage: true, clip, animations: "disabled", caret: "hide" });
  mkdirSync(folder, { recursive: true });
  const small = execFileSync("pngquant", ["--nofs", "--strip", "64", "-"], { input: png });
  writeFileSync(`${folder}/${name}.png`, small);
  // Pages of the manual that are part of the documentation have their pictures as definitions of links.
  const definition = `${folder}/${name}.png.md`;
  if (existsSync(definition)) writeFileSync(definition, `[${name}.png]: data:image/png;base64,${small.toString("base64")}\n`);
}
