// How much a browser loads.

import assert from "node:assert/strict";
import { figures } from "./figures.mjs";
import { test } from "./support.mjs";
import { inWorld } from "./world.mjs";

export const weight = [
  test("a page of a hundred keys is small, and loads one stylesheet and one script", () =>
    inWorld("hundred", async (service) => {
      const headers = { cookie: "session=acme.alice" };
      const page = await fetch(`${service.page}?team=engineering`, { headers });
      const html = await page.text();
      assert.equal(html.split("<tr>").length - 2, 100, "rows");
      assert.ok(html.includes("Show more"));
      figures.sizes["html of 100 rows"] = Buffer.byteLength(html);
      const loaded = [...html.matchAll(/(?:src|<link[^>]* href)="([^"]+)"/g)].map(([, at]) => at);
      assert.equal(loaded.length, 2, loaded.join());
      for (const at of loaded) {
        assert.match(at, /^\/settings\/api-keys\/assets\/page\.[0-9a-f]+\.(css|js)$/);
        const asset = await fetch(`${service.address}${at}`);
        const kind = at.endsWith("css") ? "css" : "js";
        figures.sizes[kind] = Buffer.byteLength(await asset.text());
        assert.match(asset.headers.get("cache-control"), /immutable/);
      }
    }),
  ),
];
