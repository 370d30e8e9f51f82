// What people do by accident, and what nobody expected to be typed.

import assert from "node:assert/strict";
import { NARROW, Person, Service, WIDE, piecesIn, test, until } from "./support.mjs";

const NAME = "Deploy hook";
// The smallest window that has to do, a window at 200 %, and one without zoom.
const WINDOWS = [{ width: 320, height: 640 }, NARROW, { width: 500, height: 400 }, WIDE];
const NAMES = {
  long: "GitHub_Actions_of_the_repository_with_the_longest_name_of_them_all",
  emoji: "\u{1F600}".repeat(100),
  hebrew: "שרת הפריסה - ייצור 2",
  arabic: "خادم النشر - الإنتاج",
};

const withOne = (name, who, run, options = {}) =>
  test(name, (browser) =>
    Service.with((service) => Person.with(browser, service, who, options, (person, page) => run(person, page, service))),
  );

const keysNamed = async (service, who, name) =>
  (await service.api(who, "GET", "/keys")).keys.filter((key) => key.name === name);

const signOut = (person) => person.context.clearCookies();
const signIn = ({ context, who, service }) =>
  context.addCookies([{ name: "session", value: `acme.${who}`, url: service.address }]);

export const edges = [
  withOne("a double click opens one dialog, creates one key and shows its text", "alice", async (person, page, service) => {
    await person.open();
    await page.dblclick('a[href$="/new?kind=team"]');
    await page.waitForSelector("dialog[open] h1");
    await page.waitForLoadState("networkidle");
    assert.equal(await page.locator("dialog").count(), 1);
    await page.fill("dialog #name", NAME);
    await page.dblclick("dialog button.main");
    assert.equal(await service.call(await person.secret()), 200);
    assert.equal((await keysNamed(service, "alice", NAME)).length, 1);
  }),

  withOne("a double click without script creates one key, and says that it is there", "alice", async (person, page, service) => {
    await person.open(`/new?kind=team&name=${NAME}`);
    await page.dblclick("button.main");
    await page.waitForSelector("h1:text-is('This key was created before'), #secret");
    await until("one key", async () => (await keysNamed(service, "alice", NAME)).length === 1);
  }, { javaScriptEnabled: false }),

  withOne("a double click deletes one key, and no error is shown", "alice", async (person, page, service) => {
    const { id, text } = await service.key("alice", NAME);
    await person.open();
    await person.dialog(`a[href$="/keys/${id}/delete"]`);
    await page.dblclick("dialog button.danger");
    await page.waitForSelector("h1:text-is('API Keys')");
    await page.waitForSelector(`th:has-text('${NAME}')`, { state: "detached" });
    assert.equal(await page.locator(".error").count(), 0);
    assert.equal(await service.call(text), 401);
  }),

  withOne("a form that was refused can be sent again", "alice", async (person, page, service) => {
    await person.open("/new?kind=team");
    await page.fill("#name", "x".repeat(101));
    await page.click("button.main");
    await page.waitForSelector("#failed");
    await page.fill("#name", NAME);
    await page.click("button.main");
    assert.equal(await service.call(await person.secret()), 200);
  }),

  withOne("two tabs of one rotation: what one ends, the other shows", "alice", async (person, page, service) => {
    await page.clock.install();
    const old = await service.key("alice", NAME);
    const [first, second] = [page, await person.context.newPage()];
    await second.goto(`${service.page}/keys/${old.id}/rotate`);
    await person.open(`/keys/${old.id}/rotate`);
    await first.click("button.main");
    const text = await person.secret();

    // The form of the other tab is too late, and says so.
    await second.click("button.main");
    await second.waitForSelector("#failed");
    assert.equal(await second.locator("#secret").count(), 0);
    assert.equal((await keysNamed(service, "alice", NAME)).length, 2, "the old key and one new one");

    await first.click("a.main");
    await first.waitForSelector("#evidence");
    await second.goto(first.url());
    await second.click('button[value="abort"]');
    await second.waitForSelector("p:has-text('The rotation was aborted')");
    await first.clock.runFor(5_000);
    await first.waitForSelector("p:has-text('The rotation was aborted')");
    assert.deepEqual([await service.call(old.text), await service.call(text)], [200, 401]);
  }),

  withOne("a session that ends leads to signing in, and nothing is made meanwhile", "alice", async (person, page, service) => {
    await person.open();
    await signOut(person);
    // A dialog, a form, and the evidence of a rotation.
    await page.click('a[href$="/new?kind=team"]');
    await page.waitForSelector("text=Sign in first");
    await signIn(person);
    await page.reload();
    await page.fill("#name", NAME);
    await signOut(person);
    await page.click("button.main");
    await page.waitForSelector("text=Sign in first");
    assert.equal((await keysNamed(service, "alice", NAME)).length, 0);
    await signIn(person);
    await page.goBack();
    await page.fill("#name", NAME);
    await page.click("button.main");
    const old = await person.secret();
    assert.equal((await keysNamed(service, "alice", NAME)).length, 1);

    await page.clock.install();
    const made = await service.successor("alice", old.split(".")[1]);
    await person.open(`/keys/${made.id}/rotation`);
    await signOut(person);
    await page.clock.runFor(5_000);
    await page.waitForSelector("text=Sign in first");
    assert.deepEqual(piecesIn(await page.content(), old), []);
  }),

  test("long names and names from right to left fit into every window, and can be typed to confirm", (browser) =>
    Service.with(async (service) => {
      const made = {};
      for (const [kind, name] of Object.entries(NAMES)) {
        const key = (made[kind] = await service.key("alice", name, { labels: { ticket: "x".repeat(64) } }));
        assert.equal(await service.call(key.text, `${"very-long-".repeat(6)}client/1`, "/intake/relay"), 202);
        // An old and a new key of the same name.
        made[`rotated ${kind}`] = await service.successor("alice", (await service.key("alice", name)).id);
      }
      for (const { text } of Object.values(made)) await service.call(text.slice(0, -4), `${"very-long-".repeat(6)}client/1`);
      await service.state("flush");
      await Person.with(browser, service, "olga", {}, async (person, page) => {
        const ends = ["", "/edit", "/delete", "/pause", "/rotate"];
        const paths = Object.keys(NAMES).flatMap((kind) => [
          ...ends.map((end) => `/keys/${made[kind].id}${end}`),
          `/keys/${made[`rotated ${kind}`].id}/rotation`,
        ]);
        for (const path of ["", "/keys", "/review", "/trail", "/people/alice", "/refusals", ...paths]) {
          await person.open(path);
          for (const window of WINDOWS) {
            await page.setViewportSize(window);
            await person.fits();
          }
          await page.setViewportSize(WIDE);
        }
        for (const [kind, name] of Object.entries(NAMES)) {
          await person.open();
          const form = await person.dialog(`a[href$="/keys/${made[kind].id}/delete"]`);
          await form.locator("#confirm").fill(name);
          await form.locator("button.danger").click();
          await page.waitForSelector(`a[href$="/keys/${made[kind].id}"]`, { state: "detached" });
          assert.equal(await service.call(made[kind].text), 401, name);
        }
      });
    }),
  ),

  test("a name of a hundred emoji is typed, and shortened", (browser) =>
    Service.with((service) =>
      Person.with(browser, service, "alice", {}, async (person, page) => {
        await person.open("/new?kind=team");
        await page.fill("#name", NAMES.emoji);
        await page.click("button.main");
        const id = (await person.secret()).split(".")[1];
        await person.open(`/keys/${id}/edit`);
        await page.focus("#name");
        await page.keyboard.press("End");
        await page.keyboard.press("Backspace");
        await page.click("button.main");
        await page.waitForURL((url) => !url.pathname.endsWith("/edit"));
        assert.equal((await service.api("alice", "GET", `/keys/${id}`)).name, "\u{1F600}".repeat(99));
      }),
    ),
  ),

  withOne("an admin of twenty teams has a heading for each, and all of them to choose from", "olga", async (person, page, service) => {
    await service.state("teams?count=20");
    for (let n = 1; n <= 20; n++) {
      await service.api("olga", "POST", "/keys", { owner: { kind: "team", id: `more-${n}` }, name: `Job ${n}` });
    }
    await person.open();
    for (const window of WINDOWS) {
      await page.setViewportSize(window);
      await person.fits();
    }
    const headings = await page.locator("th.group [role=heading]").allInnerTexts();
    for (let n = 1; n <= 20; n++) assert.ok(headings.includes(`Team ${n}`), `${n}: ${headings}`);
    const form = await person.dialog('a[href$="/new?kind=team"]');
    assert.equal(await form.locator("#team option").count(), 22);
    await form.locator("#team").selectOption("more-20");
    await form.locator("#name").fill(NAME);
    await form.locator("button.main").click();
    const headers = { "x-api-key": await person.secret() };
    const answer = await fetch(`${service.address}/whoami`, { headers });
    assert.equal(await answer.text(), "team more-20 of acme\n");
  }),
];
