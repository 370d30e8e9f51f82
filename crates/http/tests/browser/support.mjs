// A service of its own for each test, people who use it, and what every page is checked for.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { figures } from "./figures.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// The rules of axe whose answers depend on colours.
export const COLOURS = { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } };
const MOUNT = "/settings/api-keys";

// Nothing is asked of anybody but the service.
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"];

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", ...QUIET],
  });

export const test = (name, run) => ({ name, run });

export const WIDE = { width: 1000, height: 800 };
export const NARROW = { width: 360, height: 740 };

const CLIPBOARD = ["clipboard-read", "clipboard-write"];

export const MODES = {
  light: {},
  dark: { colorScheme: "dark" },
  narrow: { viewport: NARROW },
  "forced colours": { forcedColors: "active" },
  "no script": { javaScriptEnabled: false },
};

export const PEOPLE = { mo: "a member", alice: "an admin of a team", olga: "an admin of the organization" };

// A running service. Its states are changed from outside, its keys through its own routes.
export class Service {
  static async start() {
    const child = spawn(process.env.SETTINGS_PAGE, ["--test-states"], {
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const address = await new Promise((found, failed) => {
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`the service ended with ${code}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const said = /^Listening on (http:\S+)/.exec(line);
        if (said) found(said[1]);
      });
    });
    return new Service(child, address);
  }

  // Runs a test with a service, which is stopped afterwards.
  static async with(run) {
    const service = await Service.start();
    try {
      return await run(service);
    } finally {
      service.stop();
    }
  }

  constructor(child, address) {
    this.child = child;
    this.address = address;
    this.page = `${address}${MOUNT}`;
  }

  stop() {
    this.child.removeAllListeners("exit");
    this.child.kill("SIGKILL");
  }

  async state(what) {
    const answer = await fetch(`${this.address}/test-states/${what}`, { method: "POST" });
    assert.equal(answer.status, 200, `${what}: ${await answer.text()}`);
  }

  // A call of the routes, as this person.
  async api(who, method, path, body) {
    const answer = await fetch(`${this.address}/api/api-keys${path}`, {
      method,
      headers: { cookie: `session=acme.${who}`, ...(method !== "GET" && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text && JSON.parse(text);
  }

  // A new key: its id and its text.
  async key(who, name, more = {}) {
    const owner = { kind: "team", id: "engineering" };
    const made = await this.api(who, "POST", "/keys", { owner, name, ...more });
    return { id: made.key.id, text: made.plaintext };
  }

  // A successor of a key: its id and its text.
  async successor(who, id) {
    const made = await this.api(who, "POST", `/keys/${id}/rotation`, {});
    return { id: made.key.id, text: made.plaintext };
  }

  async idOf(name, who = "olga") {
    const { keys } = await this.api(who, "GET", "/keys?liveness=live");
    return keys.find((key) => key.name === name).id;
  }

  // The status that a call with a key gets.
  async call(text, client = "curl/8.5.0", path = "/whoami") {
    const method = path === "/whoami" ? "GET" : "POST";
    const headers = { "x-api-key": text, "user-agent": client };
    const { status } = await fetch(`${this.address}${path}`, { method, headers });
    return status;
  }

  // Puts a key into the secret store of a job.
  async install(job, text) {
    const body = new URLSearchParams({ job, key: text });
    const headers = { cookie: "session=acme.alice" };
    const answer = await fetch(`${this.address}/jobs`, { method: "POST", headers, body, redirect: "manual" });
    assert.equal(answer.status, 303);
  }

  async plan(name) {
    const headers = { cookie: "session=acme.olga" };
    const body = new URLSearchParams({ plan: name });
    const answer = await fetch(`${this.address}/plan`, { method: "POST", headers, body, redirect: "manual" });
    assert.equal(answer.status, 303);
  }
}

// A person at a browser. What the browser reports meanwhile is kept, and checked at the end.
export class Person {
  static async at(browser, service, who, options = {}) {
    const context = await browser.newContext({ viewport: WIDE, permissions: CLIPBOARD, ...options });
    await context.addCookies([{ name: "session", value: `acme.${who}`, url: service.address }]);
    await context.addInitScript(() => {
      window.shifts = [];
      new PerformanceObserver((list) => {
        const what = ({ node, previousRect, currentRect }) =>
          `${node?.nodeName} ${node?.className ?? ""} ${JSON.stringify(previousRect)} to ${JSON.stringify(currentRect)}`;
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value, ...entry.sources.map(what));
      }).observe({ type: "layout-shift", buffered: true });
    });
    const person = new Person(context, service, who, options);
    context.setDefaultTimeout(15_000);
    person.page = await context.newPage();
    return person;
  }

  // Runs a test with a person, and checks what the browser reported.
  static async with(browser, service, who, options, run) {
    const person = await Person.at(browser, service, who, options);
    try {
      const result = await run(person, person.page);
      person.wasQuiet();
      return result;
    } finally {
      await person.close();
    }
  }

  constructor(context, service, who, options) {
    Object.assign(this, { context, service, who, options, script: options.javaScriptEnabled !== false, reported: [] });
    context.on("console", (message) => {
      // That a document has another status than 200 is no message of the page.
      const isStatus = /^Failed to load resource: the server responded with a status of \d+/.test(message.text());
      if (isStatus && message.location().url.startsWith(service.page)) return;
      this.reported.push(`console: ${message.type()}: ${message.text()}`);
    });
    context.on("weberror", (error) => this.reported.push(`error: ${error.error()}`));
    context.on("request", (request) => {
      if (!request.url().startsWith(`${service.address}/`)) this.reported.push(`loaded from elsewhere: ${request.url()}`);
    });
  }

  async close() {
    await this.copy?.close();
    await this.context.close();
  }

  wasQuiet() {
    this.copy?.wasQuiet();
    assert.deepEqual(this.reported, [], `what the browser of ${this.who} reported`);
  }

  // Opens an address under the mount; returns the status.
  async open(path = "") {
    const answer = await this.page.goto(`${this.service.page}${path}`);
    return answer.status();
  }

  // Opens a dialog: over the page with script, as a page of its own without.
  async dialog(link) {
    await this.page.click(link);
    if (this.script) await this.page.waitForSelector("dialog[open] h1");
    else await this.page.waitForLoadState();
    return this.script ? this.page.locator("dialog") : this.page.locator("main");
  }

  // The text of a new key that the page reveals.
  async secret() {
    await this.page.waitForSelector("#secret");
    return this.page.inputValue("#secret");
  }

  // The heading of what is open.
  async heading() {
    const dialog = this.page.locator("dialog[open] h1");
    return (await dialog.count()) ? dialog.innerText() : this.page.innerText("h1");
  }

  // From now on the script of the page is empty.
  withoutScript() {
    this.script = false;
    this.isOnlyEmptied = true;
    return this.context.route("**/assets/*.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  }

  // Where script is off, questions that need it are put to a copy of the page, with the same markup and styles.
  async asked() {
    if (this.script || this.isOnlyEmptied) return this;
    if (!this.copy) {
      this.copy = await Person.at(this.context.browser(), this.service, this.who, { ...this.options, javaScriptEnabled: true });
      await this.copy.withoutScript();
    }
    const { context, page } = this.copy;
    const [url, body] = [this.page.url(), await this.page.content()];
    if (url === page.url() && body === this.copy.body) return this.copy;
    this.copy.body = body;
    await context.route(url, (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body }), { times: 1 });
    await page.goto(url);
    return this.copy;
  }

  // Nothing moved while the page was built, and it fits.
  async isSteady() {
    const { page } = await this.asked();
    // What moved last is told before the next frame.
    const shifts = await page.evaluate(() => new Promise((told) => requestAnimationFrame(() => told(window.shifts))));
    assert.deepEqual(shifts, [], `layout shifts at ${this.page.url()}`);
    await this.fits();
  }

  // Nothing is wider than the window, and no text runs over what is beside it.
  async fits() {
    const { wider, over } = await this.page.evaluate(() => ({
      wider: document.documentElement.scrollWidth - innerWidth,
      over: [...document.querySelectorAll("main :is(th, td, dd, li, p, h1, h2, button, label, legend)")]
        .filter((one) => !one.closest("caption") && one.clientWidth && one.scrollWidth > one.clientWidth + 1)
        .map((one) => `${one.outerHTML.slice(0, 200)} needs ${one.scrollWidth} and has ${one.clientWidth}`),
    }));
    assert.ok(wider <= 0, `${this.page.url()} is ${wider} pixels wider than the window`);
    assert.deepEqual(over, [], `${this.page.url()} at ${this.page.viewportSize().width} pixels`);
  }

  // What axe finds wrong with what is shown. The page's policy forbids such a script; the debugger is not bound by it.
  async axe(state, mode, rules = {}) {
    figures.states.add(`${state}, ${this.who}`);
    figures.people.add(this.who);
    figures.modes.add(mode);
    figures.pages += 1;
    const { page } = await this.asked();
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
    const { violations } = await page.evaluate((rules) => axe.run(document, { resultTypes: ["violations"], ...rules }), rules);
    figures.violations += violations.length;
    return violations.map(({ id, nodes }) => `${state}, ${this.who}, ${mode}: ${id}: ${nodes[0].html.slice(0, 200)}`);
  }
}

// What is in the clipboard after this. All pages of a browser have one clipboard, so only one of them has its turn.
let turn = Promise.resolve();
export function clipboardIn(page, copy) {
  const mine = turn.then(copy).then(() => page.evaluate(() => navigator.clipboard.readText()));
  turn = mine.catch(() => {});
  return mine;
}

// The pieces of 8 letters of a secret that a text has. The id before it is public.
export function piecesIn(text, secret) {
  const hidden = secret.split(".").at(-1);
  const pieces = Array.from({ length: hidden.length - 7 }, (_, at) => hidden.slice(at, at + 8));
  assert.ok(pieces.length > 20, "this is no secret");
  return pieces.filter((piece) => text.includes(piece));
}

// Waits until a condition holds.
export async function until(what, holds) {
  const end = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `${what} did not happen within 15 s`);
    await new Promise((next) => setTimeout(next, 20));
  }
}
