// Everything with the keyboard alone, and what has the focus is seen.

import assert from "node:assert/strict";
import { Person, Service, clipboardIn, test } from "./support.mjs";

// Presses Tab until this has the focus.
async function tabTo(page, text) {
  for (let presses = 0; presses < 80; presses++) {
    await page.keyboard.press("Tab");
    const { said, outline } = await page.evaluate(() => {
      const it = document.activeElement;
      const label = it.labels?.[0]?.innerText;
      return { said: (label ?? it.innerText ?? "").trim(), outline: getComputedStyle(it).outlineStyle };
    });
    if (said === text) {
      assert.notEqual(outline, "none", `${text} shows that it has the focus`);
      return;
    }
  }
  assert.fail(`Tab never came to ${text}`);
}

const press = (page, key) => page.keyboard.press(key);

export const keyboard = [
  test("create, copy, rotate and delete with the keyboard alone", (browser) =>
    Service.with((service) =>
      Person.with(browser, service, "alice", {}, async (person, page) => {
        await person.open();
        await tabTo(page, "Create Team API Key");
        await press(page, "Enter");
        await page.waitForSelector("dialog[open]");
        await tabTo(page, "Name");
        await page.keyboard.type("By keyboard");
        await tabTo(page, "Create");
        await press(page, "Enter");
        const text = await person.secret();
        const copied = await clipboardIn(page, async () => {
          await tabTo(page, "Copy");
          await press(page, "Enter");
          await page.waitForFunction(() => document.querySelector("#copied").innerText === "Copied.");
        });
        assert.equal(copied, text);
        assert.equal(await service.call(text, "hook/1"), 200);
        await service.state("flush");
        await tabTo(page, "I have stored it");
        await press(page, "Enter");

        await page.waitForSelector('th:has-text("By keyboard")');
        await tabTo(page, "By keyboard");
        await press(page, "Enter");
        await page.waitForSelector("h1:text('By keyboard')");
        await tabTo(page, "Rotate");
        await press(page, "Enter");
        await page.waitForSelector("dialog[open]");
        await tabTo(page, await page.innerText("dialog button.main"));
        await press(page, "Enter");
        const next = await person.secret();
        await tabTo(page, "I have stored it, continue");
        await press(page, "Enter");
        await page.waitForSelector("#evidence");
        await tabTo(page, "Delete it anyway");
        await press(page, "Enter");
        await press(page, "Tab");
        await page.keyboard.type("By keyboard");
        await press(page, "Enter");
        await page.waitForSelector("text=The rotation is finished");
        assert.deepEqual([await service.call(text), await service.call(next)], [401, 200]);

        await person.open(`/keys/${next.split(".")[1]}`);
        await tabTo(page, "Delete");
        await press(page, "Enter");
        await page.waitForSelector("dialog[open]");
        await press(page, "Escape");
        await page.waitForSelector("dialog", { state: "detached" });
        assert.equal(await page.evaluate(() => document.activeElement.innerText), "Delete", "the focus returned");
      }),
    ),
  ),
];
