// The text of a key is in the one answer that reveals it, and nowhere else that a browser keeps or people get.

import assert from "node:assert/strict";
import { PEOPLE, Person, Service, piecesIn, test } from "./support.mjs";

// Everything that a script of the page could read later.
const kept = (page) =>
  page.evaluate(() =>
    JSON.stringify([
      document.documentElement.outerHTML,
      [...document.querySelectorAll("input, textarea")].map((field) => field.value),
      { ...localStorage },
      { ...sessionStorage },
      location.href,
      history.state,
      document.cookie,
      document.title,
    ]),
  );

export const secrets = [
  test("no piece of a secret is anywhere but in the reveal", (browser) =>
    Service.with(async (service) => {
      const texts = [];
      await Person.with(browser, service, "alice", {}, async (person, page) => {
        await person.open("/new?kind=team&name=Deploy+hook");
        await page.click("button.main");
        texts.push(await person.secret());
        // In the source it is once, as the value of one field.
        const source = await page.content();
        assert.equal(source.split(texts[0]).length, 2);
        assert.equal(await page.locator("#secret").getAttribute("value"), texts[0]);
        assert.deepEqual(piecesIn(source.replace(texts[0], ""), texts[0]), []);
        assert.deepEqual(piecesIn(page.url(), texts[0]), []);
        await page.click("a.main");
        await service.call(texts[0], "hook/1", "/intake/deploys");
        await service.state("flush");

        const id = texts[0].split(".")[1];
        await person.open(`/keys/${id}/rotate`);
        await page.click("button.main");
        texts.push(await person.secret());
        await page.click("a.main");
        await page.waitForSelector("#evidence");
        for (const text of texts) assert.deepEqual(piecesIn(await kept(page), text), [], page.url());
        await page.goBack();
        for (const text of texts) assert.deepEqual(piecesIn(await kept(page), text), [], "after Back");
      });
      const [old, made] = texts.map((text) => text.split(".")[1]);
      const paths = ["", "?revoked=1", "/keys", "/review", "/trail", "/leak", "/new?kind=team"];
      for (const id of [old, made]) for (const end of ["", "/edit", "/delete", "/rotate", "/rotation"]) paths.push(`/keys/${id}${end}`);
      for (const who of Object.keys(PEOPLE)) {
        await Person.with(browser, service, who, {}, async (person, page) => {
          for (const path of paths) {
            await person.open(path);
            for (const text of texts) assert.deepEqual(piecesIn(await kept(page), text), [], `${who}: ${path}`);
          }
        });
        for (const path of ["/review.csv", "/trail.csv"]) {
          const answer = await fetch(`${service.page}${path}`, { headers: { cookie: `session=acme.${who}` } });
          const body = await answer.text();
          for (const text of texts) assert.deepEqual(piecesIn(body, text), [], `${who}: ${path}`);
        }
      }
      // What was searched for can be found.
      assert.ok(piecesIn(texts[0], texts[0]).length > 20);
    }),
  ),
];
