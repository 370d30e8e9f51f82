// The life of a key, from the first click to the last, against the API that it is for: each person, in each mode. What is
// passed through is steady, fits into the window, and axe finds nothing wrong with it.

import assert from "node:assert/strict";
import { MODES, PEOPLE, Person, Service, clipboardIn, piecesIn, test, until } from "./support.mjs";

const NAME = "Webhook relay - production";
// A program of the example, and how it appears in the evidence.
const JOB = "Monday cron";
const SOURCE = "intake/curl";

// Whose key it is. An admin of the organization chooses among teams.
const OWNER = { mo: { kind: "user", id: "mo" }, alice: { kind: "team", id: "engineering" }, olga: { kind: "team", id: "support" } };

class Journey {
  constructor(person, mode) {
    Object.assign(this, { person, page: person.page, service: person.service, mode, found: [] });
  }

  async look(state) {
    await this.person.isSteady();
    this.found.push(...(await this.person.axe(`journey: ${state}`, this.mode)));
  }

  keys() {
    return this.service.api(this.person.who, "GET", "/keys").then(({ keys }) => keys.filter(({ name }) => name === NAME));
  }

  // The text that the page shows, as the person gets it: with the button, or from the field.
  async copied() {
    const { page, person } = this;
    const shown = await person.secret();
    if (!person.script) return shown;
    const text = await clipboardIn(page, async () => {
      await page.click("[data-copy]");
      await page.waitForSelector("#copied:text('Copied.')");
    });
    assert.equal(text, shown);
    return text;
  }

  async create() {
    const { page, person, service } = this;
    const { kind, id } = OWNER[person.who];
    await person.open();
    await this.look("list");
    const form = await person.dialog(`a[href$="/new?kind=${kind}"]`);
    await form.locator("#name").fill(NAME);
    if (person.who === "olga") await form.locator("#team").selectOption(id);
    await this.look("create");
    await form.locator("button.main").click();
    const text = await this.copied();
    assert.equal(await service.call(text), 200, "what was copied calls the API");
    await this.look("reveal");

    await page.reload();
    await page.waitForSelector(person.script ? "h1:text-is('API Keys')" : "h1:text-is('This key was created before')");
    assert.deepEqual(piecesIn(await page.content(), text), [], "a reload shows nothing of the text");
    await this.look("reload");
    const made = await this.keys();
    assert.deepEqual(made.map(({ owner }) => owner), [OWNER[person.who]], "a reload makes no second key");
    return text;
  }

  // Evidence comes every five seconds, or when it is asked for.
  async waitFor(what, holds) {
    const { page, person } = this;
    if (person.script) await page.clock.runFor(5_000);
    else await page.click("a:text-is('Refresh')");
    await until(what, holds);
  }

  async rotate(old) {
    const { page, person, service } = this;
    const id = old.split(".")[1];
    await service.install(JOB, old);
    await service.state("jobs");
    await person.open();
    const form = await person.dialog(`a[href$="/keys/${id}/rotate"]`);
    await this.look("rotate");
    await form.locator("button.main").click();
    const text = await this.copied();
    assert.notEqual(text, old);
    assert.deepEqual([await service.call(old), await service.call(text)], [200, 200], "both work");
    await this.look("reveal of the new key");
    await page.click("a.main");

    const evidence = page.locator("#evidence");
    const verdict = page.locator("#evidence [role=status]");
    const finish = page.locator('button[value="finish"]');
    await evidence.waitFor();
    assert.match(await evidence.innerText(), new RegExp(`${SOURCE}[^]*not seen yet`));
    assert.equal(await finish.count(), 0, "the old key is in use");
    await this.look("rotation, waiting");

    // The verdict keeps its element, so that its change is announced.
    if (person.script) await verdict.evaluate((element) => (window.announced = element));
    const before = await verdict.innerText();
    await service.install(JOB, text);
    await service.state("jobs");
    await this.waitFor("the evidence moves", async () => !/not seen yet/.test(await evidence.innerText()));
    assert.notEqual(await verdict.innerText(), before);
    if (person.script) assert.ok(await verdict.evaluate((element) => element === window.announced));

    await service.state("later?seconds=7200");
    await service.state("jobs");
    await this.waitFor("the rotation is safe to finish", async () => (await finish.count()) === 1);
    assert.equal(await verdict.getAttribute("class"), "ok");
    await this.look("rotation, safe");
    await finish.click();
    await page.waitForSelector("p:has-text('The rotation is finished')");
    assert.deepEqual([await service.call(old), await service.call(text)], [401, 200]);
    assert.equal(await page.locator("[data-poll]").count(), 0, "nothing is asked when it is over");
    await this.look("rotation, finished");
    return text;
  }

  async delete(text) {
    const { page, person, service } = this;
    const id = text.split(".")[1];
    await service.state("jobs");
    await person.open();
    const form = await person.dialog(`a[href$="/keys/${id}/delete"]`);
    assert.ok((await form.innerText()).includes(SOURCE), "what still uses it");
    await form.locator("#confirm").fill(NAME);
    await form.locator("#because").fill("no longer needed");
    await this.look("delete");
    assert.equal(await service.call(text), 200);
    const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
    await form.locator("button.danger").click();
    assert.equal((await answered).status(), 303);
    assert.equal(await service.call(text), 401, "the next call is refused");
    await page.waitForSelector("h1:text-is('API Keys')");
    await person.open(`/keys/${id}`);
    assert.match(await page.innerText("main"), /Revoked[^]*no longer needed/);
    await this.look("deleted");
  }
}

export const journeys = Object.keys(PEOPLE).flatMap((who) =>
  Object.entries(MODES).map(([mode, options]) =>
    test(`create, reload, rotate, delete: ${PEOPLE[who]}, ${mode}`, (browser) =>
      Service.with((service) =>
        Person.with(browser, service, who, options, async (person, page) => {
          if (person.script) await page.clock.install();
          const journey = new Journey(person, mode);
          await journey.delete(await journey.rotate(await journey.create()));
          assert.deepEqual(journey.found, []);
        }),
      ),
    ),
  ),
);
