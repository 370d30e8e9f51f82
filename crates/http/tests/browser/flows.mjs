// What the journeys do not pass through: notes, Back, dialogs, tabs, paper, and every change without script.

import assert from "node:assert/strict";
import { Person, Service, piecesIn, test, until } from "./support.mjs";

const CREATE_TEAM = 'a[href$="/new?kind=team"]';
const CREATE_OWN = 'a[href$="/new?kind=user"]';

const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("href"));
const keysNamed = async (service, who, name) =>
  (await service.api(who, "GET", "/keys")).keys.filter((key) => key.name === name).length;

const withOne = (name, who, options, run) =>
  test(name, (browser) =>
    Service.with((service) => Person.with(browser, service, who, options, (person, page) => run(person, page, service))),
  );

export const flows = [
  withOne("notes come while a name is typed, and create nothing", "alice", {}, async (person, page, service) => {
    await person.open();
    await person.dialog(CREATE_TEAM);
    const notes = page.locator("dialog .notes");
    await page.fill("dialog #name", "key1");
    await until("the note about a vague name", async () => /what uses it/i.test(await notes.innerText()));
    await page.fill("dialog #name", "laptop test");
    await until("the note about a laptop", async () => /laptop/.test(await notes.innerText()));
    await page.fill("dialog #name", "GitHub Actions - browser");
    await until("no note about the name", async () => !/laptop|vague/.test(await notes.innerText()));
    assert.equal(await keysNamed(service, "alice", "GitHub Actions - browser"), 0, "notes create nothing");
  }),

  withOne("Back and Forward after create show lists", "alice", {}, async (person, page, service) => {
    await person.open();
    await person.dialog(CREATE_OWN);
    await page.fill("dialog #name", "Once");
    await page.click("dialog button.main");
    const secret = await person.secret();
    await page.click("a.main");
    await page.waitForSelector('th:has-text("Once")');
    for (const [step, go] of [["back", () => page.goBack()], ["forward", () => page.goForward()]]) {
      await go();
      assert.equal(await page.innerText("h1"), "API Keys", step);
      assert.deepEqual(piecesIn(await page.content(), secret), [], step);
      assert.equal(await page.locator("#secret").count(), 0, step);
    }
    assert.equal(await keysNamed(service, "alice", "Once"), 1);
  }),

  withOne("every change without script", "alice", { javaScriptEnabled: false }, async (person, page, service) => {
    await person.open();
    await person.dialog(CREATE_TEAM);
    await page.fill("#name", "Report mailer");
    await page.click("button.main");
    const text = await person.secret();
    assert.equal(await page.locator("[data-copy]").isVisible(), false, "a button that cannot work is not there");
    assert.equal(await service.call(text), 200);
    const id = text.split(".")[1];
    await page.click("a.main");

    await person.open(`/keys/${id}/edit`);
    await page.fill("#name", "Report mailer - weekly");
    await page.click("button.main");
    await page.waitForSelector("text=Report mailer - weekly");
    for (const [verb, status] of [["pause", 401], ["resume", 200]]) {
      await person.open(`/keys/${id}/${verb}`);
      await page.click("button.main");
      await page.waitForLoadState();
      assert.equal(await service.call(text), status, verb);
    }
    await service.state("flush");
    await person.open(`/keys/${id}/rotate`);
    await page.click("button.main");
    const next = await person.secret();
    await page.click("a.main");
    await page.waitForSelector("#evidence");
    await page.click("text=Refresh");
    await page.click("details summary");
    await page.fill("#confirm", "Report mailer - weekly");
    await page.click('button[value="finish_anyway"]');
    await page.waitForSelector("text=The rotation is finished");
    assert.deepEqual([await service.call(text), await service.call(next)], [401, 200]);
    await person.open("/leak");
    await page.fill("#text", next);
    await page.click("button.main");
    await page.waitForSelector("text=Report mailer - weekly");
  }),

  withOne("the focus returns to what opened a dialog", "alice", {}, async (person, page) => {
    await person.open();
    for (const close of [() => page.keyboard.press("Escape"), () => page.click("dialog [data-close]")]) {
      await person.dialog(CREATE_TEAM);
      assert.ok(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
      const title = await page.evaluate(() => document.querySelector("dialog").getAttribute("aria-labelledby"));
      assert.equal(await page.innerText(`#${title}`), "Create team API key");
      await close();
      await page.waitForSelector("dialog", { state: "detached" });
      assert.match(await focused(page), /\/new\?kind=team$/);
    }
  }),

  withOne("a new tab shows a dialog as a page", "alice", {}, async (person, page) => {
    await person.open();
    const [tab] = await Promise.all([
      person.context.waitForEvent("page"),
      page.click(CREATE_TEAM, { modifiers: ["Control"] }),
    ]);
    await tab.waitForLoadState();
    assert.equal(await tab.innerText("h1"), "Create team API key");
    assert.equal(await page.locator("dialog").count(), 0);
  }),

  withOne("a printed rotation has what happened and no buttons", "alice", { colorScheme: "dark" }, async (person, page, service) => {
    const old = await service.key("alice", "Deploy hook");
    const made = await service.successor("alice", old.id);
    await service.call(made.text, "hook/2");
    await service.state("flush");
    await service.state("later?seconds=7200");
    await service.api("alice", "POST", `/keys/${made.id}/rotation/finish`);
    await person.open(`/keys/${made.id}/rotation`);
    await page.emulateMedia({ media: "print" });
    assert.ok(await page.locator("text=The rotation is finished").isVisible());
    assert.ok(await page.locator("text=api/hook").isVisible());
    for (const hidden of ["nav", "form", "button"]) {
      for (const one of await page.locator(hidden).all()) assert.equal(await one.isVisible(), false, hidden);
    }
    const colours = await page.$eval("main", (main) => [getComputedStyle(main).color, getComputedStyle(main).backgroundColor]);
    assert.deepEqual(colours, ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]);
    const quiet = await page.$eval(".quiet", (quiet) => getComputedStyle(quiet).color);
    assert.equal(quiet, "rgb(84, 88, 95)", "paper is not dark");
    const pdf = await page.pdf();
    assert.ok(pdf.length > 5_000 && pdf.subarray(0, 5).toString() === "%PDF-");
  }),
];
