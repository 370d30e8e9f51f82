// How much a browser loads.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { figures } from "./figures.mjs";
import { Person, test, until } from "./support.mjs";
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
      const loaded = [...html.matchAll(/(?:src|<link[^>]* href)="([^"#]+)"/g)].map(([, at]) => at);
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

  test("a page that arrives in two pieces does not move", (browser) =>
    inWorld("full", async (service) => {
      let more;
      // Sends the second half of a document when it is told to.
      const slow = createServer(async (request, response) => {
        const answer = await fetch(service.address + request.url, { headers: { cookie: "session=acme.alice" } });
        const text = await answer.text();
        const headers = ["content-type", "content-security-policy"].map((name) => [name, answer.headers.get(name) ?? ""]);
        response.writeHead(answer.status, Object.fromEntries(headers));
        if (!headers[0][1].startsWith("text/html")) return response.end(text);
        const half = Math.floor(text.length / 2);
        response.write(text.slice(0, half));
        more = () => response.end(text.slice(half));
      });
      await new Promise((ready) => slow.listen(0, "127.0.0.1", ready));
      const address = `http://127.0.0.1:${slow.address().port}`;
      const through = { address, page: service.page.replace(service.address, address) };
      try {
        await Person.with(browser, through, "alice", {}, async (person, page) => {
          for (const path of ["", "/keys", "/review", "/trail"]) {
            const opened = person.open(path);
            const rows = () => page.evaluate(() => document.querySelectorAll("tr").length).catch(() => 0);
            await until("the first half", async () => page.url().endsWith(path) && (await rows()) > 1);
            const first = await rows();
            more();
            assert.equal(await opened, 200);
            assert.ok((await rows()) > first, "it came in two pieces");
            await person.isSteady();
          }
        });
      } finally {
        slow.closeAllConnections();
        slow.close();
      }
    }),
  ),
];
