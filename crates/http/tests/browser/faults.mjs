// A store that goes away, a directory that is down, and two people who do the same at once.

import assert from "node:assert/strict";
import { Person, Service, test } from "./support.mjs";

const NAMES = ["GitHub Actions - production", "Monday cron", "key1"];

export const faults = [
  test("a store that goes away in the middle gives a whole page or none", (browser) =>
    Service.with((service) =>
      Person.with(browser, service, "alice", {}, async (person, page) => {
        for (const path of ["", "/keys", "/review"]) {
          let refused = 0;
          for (let answers = 0; ; answers++) {
            assert.ok(answers < 100, "the page never came");
            await service.state(`store?answers=${answers}`);
            const status = await person.open(path);
            const text = await page.innerText("main");
            if (status === 200) {
              for (const name of NAMES) assert.ok(text.includes(name), `${path}: ${name} is missing after ${answers} answers`);
              break;
            }
            refused += 1;
            assert.equal(status, 503);
            assert.match(text, /Keys cannot be shown at the moment\. Existing keys may still work\. [^]*Try again in a moment\./);
            for (const name of [...NAMES, "10.1.2.3"]) assert.ok(!text.includes(name), `${path}: half a list`);
          }
          assert.ok(refused >= 2, `${path} asks the store more than once`);
        }
        await service.state("store");
        assert.equal(await person.open(), 200);
      }),
    ),
  ),

  test("a dialog that cannot be had shows why", (browser) =>
    Service.with((service) =>
      Person.with(browser, service, "alice", {}, async (person, page) => {
        await person.open();
        await service.state("store?answers=0");
        await page.click(`a[href$="/delete"] >> nth=0`);
        await page.waitForURL(/\/delete$/);
        assert.match(await page.innerText("main"), /Try again in a moment/);
        await service.state("store");
        await page.reload();
        assert.match(await page.innerText("h1"), /^Delete "/);
      }),
    ),
  ),

  test("a key is created once though the store went away", (browser) =>
    Service.with((service) =>
      Person.with(browser, service, "alice", {}, async (person, page) => {
        await person.open("/new?kind=team&name=Deploy+hook");
        await service.state("store?answers=0");
        await page.click("button.main");
        await page.waitForSelector(".error");
        assert.equal(await page.locator("#secret").count(), 0);
        await service.state("store");
        await person.open("/new?kind=team&name=Deploy+hook");
        await page.click("button.main");
        await person.secret();
        const { keys } = await service.api("alice", "GET", "/keys");
        assert.equal(keys.filter((key) => key.name === "Deploy hook").length, 1);
      }),
    ),
  ),

  test("two admins end one rotation: one of them does, the other sees what happened", (browser) =>
    Service.with(async (service) => {
      for (const [first, second] of [["finish", "finish"], ["finish", "abort"], ["abort", "abort"]]) {
        const old = await service.key("alice", `Deploy hook ${first} ${second}`);
        await service.call(old.text, "hook/1");
        const made = await service.successor("alice", old.id);
        await service.call(made.text, "hook/1");
        await service.state("flush");
        await service.state("later?seconds=7200");
        await service.call(made.text, "hook/1");
        await service.state("flush");
        await Person.with(browser, service, "alice", {}, (alice) =>
          Person.with(browser, service, "olga", {}, async (olga) => {
            const statuses = {};
            for (const person of [alice, olga]) {
              await person.open(`/keys/${made.id}/rotation`);
              person.page.on("response", (answer) => {
                if (answer.request().method() === "POST") statuses[person.who] = answer.status();
              });
            }
            // The new key is in use, so giving up asks for the name.
            for (const [{ page }, how] of [[alice, first], [olga, second]]) {
              if (how !== "abort") continue;
              await page.click("details:has(#confirm_abort) > summary");
              await page.fill("#confirm_abort", `Deploy hook ${first} ${second}`);
            }
            await Promise.all([
              alice.page.click(`button[value="${first}"]`),
              olga.page.click(`button[value="${second}"]`),
            ]);
            await Promise.all([alice, olga].map(({ page }) => page.waitForFunction(() => !document.querySelector("form button[name=do]"))));
            // The same once more is no mistake: it is answered with what happened.
            const answers = Object.values(statuses).sort();
            assert.ok(answers[0] === 303 && (answers[1] === 409 || first === second), `${first}, ${second}: ${answers}`);
            const ends = ["key.rotation_finished", "key.rotation_aborted"];
            const paths = ends.flatMap((action) => [old, made].map(({ id }) => `/events?key=${id}&action=${action}`));
            const events = await Promise.all(paths.map((path) => service.api("olga", "GET", path)));
            assert.equal(events.flatMap((found) => found.entries).length, 1, "it ended once");
            for (const { page } of [alice, olga]) {
              const text = await page.innerText("main");
              assert.match(text, /The rotation is finished|The rotation was aborted|The rotation ended/i);
            }
            // One of the two keys is left, in either case.
            const calls = [await service.call(old.text), await service.call(made.text)];
            assert.deepEqual(calls.sort(), [200, 401]);
          }),
        );
      }
    }),
  ),
];
