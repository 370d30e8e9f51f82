// What people do, from the first click to the last, against the API that they do it for.

import assert from "node:assert/strict";
import { Person, Service, piecesIn, test, until } from "./support.mjs";

const CREATE_TEAM = 'a[href$="/new?kind=team"]';
const CREATE_OWN = 'a[href$="/new?kind=user"]';
const COPYING = { permissions: ["clipboard-read", "clipboard-write"] };
const SCRIPT = { script: {}, "no script": { javaScriptEnabled: false } };

const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("href"));
const keysNamed = async (service, who, name) =>
  (await service.api(who, "GET", "/keys")).keys.filter((key) => key.name === name).length;

const withOne = (name, who, options, run) =>
  test(name, (browser) =>
    Service.with((service) => Person.with(browser, service, who, options, (person, page) => run(person, page, service))),
  );

export const flows = [
  withOne("create: notes while typing, reveal, copy, and the copy calls the API", "alice", COPYING, async (person, page, service) => {
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
    await page.click("dialog button.main");
    const secret = await person.secret();
    assert.equal(await page.innerText("h1"), "Copy your new key now");
    await page.click("[data-copy]");
    await until("the copy is announced", async () => (await page.innerText("#copied")) === "Copied.");
    assert.equal(await clipboard(page), secret);
    assert.equal(await service.call(await clipboard(page)), 200);
    await page.click("a.main");
    await page.waitForSelector('th:has-text("GitHub Actions - browser")');
  }),

  ...Object.entries(SCRIPT).map(([title, options]) =>
    withOne(`a reload after create makes no second key and shows no secret, ${title}`, "mo", options, async (person, page, service) => {
      await person.open("/new?kind=user&name=Once");
      await page.click("button.main");
      const secret = await person.secret();
      await page.reload();
      assert.deepEqual(piecesIn(await page.content(), secret), []);
      const said = person.script ? "API Keys" : "This key was created before";
      assert.equal(await page.innerText("h1"), said);
      assert.equal(await keysNamed(service, "mo", "Once"), 1);
    }),
  ),

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

  withOne("a rotation to its end, with a job that takes the new key", "alice", {}, async (person, page, service) => {
    const job = "GitHub Actions - production";
    const old = await service.key("alice", "Deploy hook");
    await service.install(job, old.text);
    await service.state("jobs");
    await page.clock.install();
    await person.open();
    await person.dialog(`a[href$="/keys/${old.id}/rotate"]`);
    await page.click("dialog button.main");
    const secret = await person.secret();
    assert.notEqual(secret, old.text);
    await page.click("a.main");
    const evidence = page.locator("#evidence");
    const verdict = page.locator("#evidence [role=status]");
    await evidence.waitFor();
    assert.match(await evidence.innerText(), /intake\/github-actions[^]*not seen yet/);
    assert.equal(await page.locator('form:has(button[value="finish"])').count(), 0, "it is still used");
    const first = await verdict.innerText();

    // The page asks every five seconds. The verdict keeps its element, so that its change is announced.
    await service.install(job, secret);
    await service.state("jobs");
    await verdict.evaluate((element) => (window.announced = element));
    await page.clock.runFor(5_000);
    await until("the evidence moved", async () => !/not seen yet/.test(await evidence.innerText()));
    assert.notEqual(await verdict.innerText(), first);
    assert.ok(await verdict.evaluate((element) => element === window.announced));
    assert.equal(await service.call(old.text, "github-actions/2.3", "/intake/deploys"), 202, "both work meanwhile");

    await service.state("later?seconds=7200");
    await service.state("jobs");
    await page.clock.runFor(5_000);
    const finish = page.locator('button[value="finish"]');
    await finish.waitFor();
    assert.equal(await verdict.getAttribute("class"), "ok");
    await finish.click();
    await page.waitForSelector("text=The rotation is finished");
    assert.deepEqual([await service.call(old.text), await service.call(secret)], [401, 200]);
    await service.state("jobs");
    await page.clock.runFor(60_000);
    assert.equal(await page.locator("[data-poll]").count(), 0, "nothing is asked when it is over");
  }),

  ...Object.entries(SCRIPT).map(([title, options]) =>
    withOne(`a deleted key is refused by the next call, ${title}`, "alice", options, async (person, page, service) => {
      const { id, text } = await service.key("alice", "Zapier - intake");
      assert.equal(await service.call(text, "zapier/1", "/intake/zapier"), 202);
      await service.state("flush");
      await person.open();
      const dialog = await person.dialog(`a[href$="/keys/${id}/delete"]`);
      assert.match(await dialog.innerText(), /intake\/zapier, once/);
      await dialog.locator("#confirm").fill("Zapier - intake");
      await dialog.locator("#because").fill("no longer needed");
      await dialog.locator("button.danger").click();
      // Not a moment later: the answer to the form is awaited, nothing else.
      await page.waitForURL((url) => !url.pathname.endsWith("/delete"));
      assert.equal(await service.call(text, "zapier/1", "/intake/zapier"), 401);
      await person.open(`/keys/${id}`);
      assert.match(await page.innerText("main"), /Revoked[^]*no longer needed/);
    }),
  ),

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
    const pdf = await page.pdf();
    assert.ok(pdf.length > 5_000 && pdf.subarray(0, 5).toString() === "%PDF-");
  }),
];
