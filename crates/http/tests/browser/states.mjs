// Every screen in every state, for three people: light, dark, with forced colours, narrow, and without script. Each is looked
// at by axe, must not move while it is built, and must fit into the window.

import assert from "node:assert/strict";
import { picture } from "./picture.mjs";
import { COLOURS, NARROW, PEOPLE, Person, WIDE, test } from "./support.mjs";
import { WORLDS, inWorld } from "./world.mjs";

const EVERYBODY = Object.keys(PEOPLE);
const ADMINS = ["alice", "olga"];

// A screen that an address shows, and the status for each person.
const at = (name, path, statuses = {}) => ({
  name,
  people: EVERYBODY,
  async show(person) {
    const to = typeof path === "function" ? path(person.service.ids) : path;
    assert.equal(await person.open(to), statuses[person.who] ?? statuses.all ?? 200, `${name}, ${person.who}: ${to}`);
  },
});

// A screen that people get to by filling a form.
const after = (name, people, show) => ({ name, people, show });

const key = (of, path = "") => (ids) => `/keys/${ids[of]}${path}`;
const asMember = (status) => ({ mo: status });

const submit = (person, button) => Promise.all([person.page.waitForNavigation(), person.page.click(button)]);

const SCREENS = {
  full: [
    { ...at("list", ""), picture: "list", variants: true },
    at("list with dead keys", "?revoked=1"),
    at("search that finds", "?q=cron"),
    at("search that finds nothing", "?q=no-such-name"),
    at("search for a secret", (ids) => `?q=${ids.secret}`),
    at("personal keys only", "?kind=user"),
    at("keys of one team", "?team=engineering"),
    at("keys of an unknown team", "?team=nothing", { mo: 404, alice: 404 }),
    at("create, personal", "/new?kind=user&name=GitHub+Actions"),
    { ...at("create, team", "/new?kind=team&name=laptop+test", asMember(403)), picture: "create" },
    at("create, filled by a link", "/new?kind=team&team=engineering&name=Deploys&scope=agents:read&ends=2030-01-01", asMember(403)),
    { ...at("a key that is used", key("used")), picture: "key" },
    at("a key that is not used", key("live")),
    at("a paused key", key("Nightly backup - staging")),
    at("a revoked key", key("Old deploy - 2024")),
    at("a key that ends soon", key("Audit export")),
    at("a key with a hostile name", key("hostile")),
    at("a personal key of alice", key("own"), asMember(404)),
    at("a personal key of mo", key("mo"), { alice: 404 }),
    at("an unknown key", "/keys/AAAAAAAAAAAAAAAAAAAA", { all: 404 }),
    at("edit", key("hostile", "/edit")),
    { ...at("edit a key in use", key("used", "/edit")), picture: "edit" },
    { ...at("pause", key("used", "/pause")), picture: "pause" },
    at("resume", key("Nightly backup - staging", "/resume")),
    { ...at("delete a key in use", key("used", "/delete")), picture: "delete" },
    at("delete a key that is not used", key("live", "/delete")),
    at("delete a dead key", key("Old deploy - 2024", "/delete")),
    at("rotate", key("live", "/rotate")),
    at("rotate a personal key", key("own", "/rotate"), asMember(404)),
    { ...at("rotation, waiting", key("waiting", "/rotation"), asMember(403)), picture: "rotation" },
    { ...at("rotation, safe", key("safe", "/rotation"), asMember(403)), picture: "rotation-safe" },
    at("rotation, quiet", key("quiet", "/rotation"), asMember(403)),
    at("rotation, new key refused", key("refused", "/rotation"), asMember(403)),
    { ...at("rotation, finished", key("finished", "/rotation"), asMember(403)), picture: "rotation-finished" },
    at("rotation, aborted", key("aborted", "/rotation"), asMember(403)),
    { ...at("all keys", "/keys"), picture: "all-keys" },
    at("all keys, none found", "/keys?q=no-such-name"),
    at("all keys, a wrong filter", "/keys?kind=x", { all: 400 }),
    { ...at("review", "/review"), picture: "review" },
    at("review of one flag", "/review?flag=vague_name"),
    at("review with dead keys", "/review?dead=1"),
    { ...at("people", "/people", { mo: 404 }), picture: "people", pictured: "olga" },
    at("people, none found", "/people?user=nothing", { mo: 404 }),
    at("a team", "/teams/engineering"),
    { ...at("a person", "/people/alice", { mo: 404, alice: 200 }), picture: "person" },
    at("a person who left", "/people/bob", { mo: 404 }),
    { ...at("trail", "/trail"), picture: "trail" },
    at("trail without entries", "/trail?action=key.purged"),
    { ...at("leak", "/leak"), picture: "leak" },
    { ...at("refused without a key", "/refusals", { mo: 403, alice: 403 }), picture: "refusals", pictured: "olga" },
    at("nothing", "/nothing", { all: 404 }),
  ],
  empty: [
    at("list at the beginning", ""),
    at("all keys at the beginning", "/keys"),
    at("refused without a key, none", "/refusals", { mo: 403, alice: 403 }),
  ],
  suspended: [
    { ...at("list of a suspended team", ""), picture: "suspended" },
    at("all keys, one team is suspended", "/keys"),
    at("create, the team is suspended", "/new?kind=team", asMember(403)),
    at("a key of a suspended team", key("live")),
    at("rotate, the team is suspended", key("live", "/rotate")),
    at("edit, the team is suspended", key("live", "/edit")),
    at("a suspended team", "/teams/engineering"),
    after("a team, before it is reinstated", ["olga"], async (person) => {
      await person.open("/teams/engineering");
      await submit(person, "button[value=reinstate]");
    }),
  ],
  "suspended person": [
    at("list of a suspended person", "", { alice: 403 }),
    at("create, the person is suspended", "/new?kind=user"),
    at("a key of a suspended person", key("own"), { mo: 404, alice: 403 }),
    at("a suspended person", "/people/alice", { mo: 404, alice: 403 }),
  ],
  closed: [
    at("list of a closed team", ""),
    at("all keys, one team is closed", "/keys"),
    at("create, the team is closed", "/new?kind=team", asMember(403)),
    at("a key of a closed team", key("live")),
    at("delete, the team is closed", key("live", "/delete")),
    at("a closed team", "/teams/engineering"),
    at("a closed person", "/people/bob", asMember(404)),
  ],
  "free plan": [
    { ...at("list without team keys in the plan", ""), picture: "free-plan" },
    at("create, not in the plan", "/new?kind=team", { mo: 403, alice: 403 }),
    at("a key that the plan suspends", key("live")),
    at("rotate, the plan suspends it", key("live", "/rotate")),
  ],
  unreadable: [
    at("list with an unreadable key", ""),
    at("all keys with an unreadable one", "/keys"),
    at("review with an unreadable key", "/review"),
    at("an unreadable key", key("broken"), { all: 503 }),
    at("a person with an unreadable key", "/people/alice", asMember(404)),
  ],
  leaver: [
    { ...at("a person whose keys are being replaced", "/people/alice", asMember(404)), picture: "leaver", pictured: "olga" },
    at("a person whose key is being replaced", "/people/bob", asMember(404)),
  ],
  uncounted: [
    at("list, uses are not written", ""),
    at("a key, uses are not written", key("used")),
    at("delete, uses are not written", key("used", "/delete")),
    at("pause, uses are not written", key("used", "/pause")),
    at("rotation, uses are not written", key("rotating", "/rotation"), asMember(403)),
    at("review, uses are not written", "/review"),
    at("refused without a key, not written", "/refusals", { mo: 403, alice: 403 }),
  ],
  "many teams": [
    at("create, too many teams for a list", "/new?kind=team", asMember(403)),
    at("create, a team is searched", "/new?kind=team&find=Team+11", asMember(403)),
    at("create, a team that is not found", "/new?kind=team&find=nothing", asMember(403)),
    at("rotate, too many teams for a list", key("own", "/rotate"), { mo: 404, alice: 404 }),
  ],
  "store down": [
    { ...at("list, the store is down", "", { all: 503 }), picture: "store-down" },
    at("review, the store is down", "/review", { all: 503 }),
    at("trail, the store is down", "/trail", { all: 503 }),
  ],
  "names down": [
    at("list, the directory is down", ""),
    at("all keys, the directory is down", "/keys"),
    at("create, the directory is down", "/new?kind=team", { mo: 403, alice: 503 }),
  ],
  hundred: [at("list of more than a hundred", "")],
};

const FORMS = [
  after("create over the list", EVERYBODY, async (person) => {
    await person.open();
    await person.dialog('a[href$="/new?kind=user"]');
  }),
  after("create, a name that cannot be", EVERYBODY, async (person) => {
    await person.open("/new?kind=user");
    await person.page.fill("#name", "team.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PK1q7");
    await submit(person, "button.main");
    await person.page.waitForSelector("#failed");
  }),
  {
    ...after("reveal", EVERYBODY, async (person) => {
      await person.open("/new?kind=user&name=Backup+of+my+notebook");
      await submit(person, "button.main");
      await person.page.waitForSelector("#secret");
    }),
    picture: "reveal",
  },
  after("created before", EVERYBODY, async (person) => {
    await person.open("/new?kind=user&name=Twice");
    const twice = await person.page.inputValue("[name=idempotency_key]");
    await submit(person, "button.main");
    await person.open("/new?kind=user&name=Twice");
    const { page } = person;
    await page.evaluate((twice) => (document.querySelector("[name=idempotency_key]").value = twice), twice);
    await submit(person, "button.main");
    assert.equal(await person.heading(), "This key was created before");
  }),
  after("edit, the key changed meanwhile", ADMINS, async (person) => {
    const { id } = await person.service.key("alice", "Changes often");
    await person.open(`/keys/${id}/edit`);
    await person.service.api("alice", "PATCH", `/keys/${id}`, { name: "Changed meanwhile" });
    await submit(person, "button.main");
    await person.page.waitForSelector(".error");
  }),
  after("delete, the wrong name typed", ADMINS, async (person) => {
    await person.open(`/keys/${person.service.ids.used}/delete`);
    await person.page.fill("#confirm", "something else");
    await submit(person, "button.danger");
    await person.page.waitForSelector("[aria-invalid=true]");
  }),
  after("rotate, a day without the choice", ADMINS, async (person) => {
    await person.open(`/keys/${person.service.ids.live}/rotate`);
    await person.page.fill("#ends", "2030-01-01");
    await submit(person, "button.main");
    await person.page.waitForSelector("#failed");
  }),
  after("rotation, anyway with the wrong name", ADMINS, async (person) => {
    await person.open(`/keys/${person.service.ids.waiting}/rotation`);
    await person.page.click("details summary");
    await person.page.fill("#confirm", "something else");
    await submit(person, "details button.danger");
    await person.page.waitForSelector("[aria-invalid=true]");
  }),
  after("rotation, given up with the wrong name", ADMINS, async (person) => {
    await person.open(`/keys/${person.service.ids.half}/rotation`);
    await person.page.click("details:has(#confirm_abort) > summary");
    await person.page.fill("#confirm_abort", "something else");
    await submit(person, "button[value=abort]");
    await person.page.waitForSelector("#confirm_abort[aria-invalid=true]");
  }),
  after("a key, by day", ADMINS, async (person) => {
    await person.open(`/keys/${person.service.ids.used}`);
    await person.page.click("details summary");
  }),
  {
    ...after("many keys, before they are deleted", ADMINS, async (person) => {
      const { ids } = person.service;
      await person.open("/review");
      for (const id of [ids.used, ids.live, ids["Nightly backup - staging"]]) await person.page.check(`input[value="${id}"]`);
      await submit(person, "button.danger");
    }),
    picture: "delete-many",
  },
  after("many keys, the wrong number typed", ADMINS, async (person) => {
    await person.open("/review");
    for (const id of [person.service.ids.used, person.service.ids.live]) await person.page.check(`input[value="${id}"]`);
    await submit(person, "button.danger");
    await person.page.fill("#confirm", "3");
    await submit(person, "button.danger");
    await person.page.waitForSelector("#confirm[aria-invalid=true]");
  }),
  after("many keys, deleted", ADMINS, async (person) => {
    const { id } = await person.service.key("alice", "One of many");
    await person.open("/review");
    await person.page.check(`input[value="${id}"]`);
    await submit(person, "button.danger");
    await submit(person, "button.danger");
  }),
  {
    ...after("leak, found", EVERYBODY, async (person) => {
      await person.open("/leak");
      await person.page.fill("#text", `export KEY=${person.service.secret}`);
      await submit(person, "button.main");
    }),
    picture: "leak-found",
  },
  after("leak, stopped here and now", EVERYBODY, async (person) => {
    const { text } = await person.service.key("alice", "Leaked");
    await person.open("/leak");
    await person.page.fill("#text", `export KEY=${text}`);
    await submit(person, `button[value=${person.who === "mo" ? "pause" : "revoke"}]`);
    assert.equal(await person.service.call(text), 401);
  }),
  after("leak, not found", EVERYBODY, async (person) => {
    await person.open("/leak");
    await person.page.fill("#text", "nothing");
    await submit(person, "button.main");
  }),
  after("review, marked", ADMINS, async (person) => {
    await person.open("/review");
    await person.page.check(`input[value="${person.service.ids.used}"]`);
    await submit(person, "button[value=reviewed]");
    await person.open("/review");
    await person.page.waitForSelector("text=Reviewed");
  }),
  after("a person, before they are suspended", ["olga"], async (person) => {
    await person.open("/people/mo");
    await submit(person, "button[value=suspend]");
  }),
  {
    ...after("a team, before it is suspended", ["olga"], async (person) => {
      await person.open("/teams/engineering");
      await submit(person, "button[value=suspend]");
    }),
    picture: "team",
    pictured: "olga",
  },
  after("a team, before it is closed", ["olga"], async (person) => {
    await person.open("/teams/engineering");
    await submit(person, "button[value=close]");
    await person.page.fill("#because", "it was merged into another team");
    await person.page.fill("#confirm", "something else");
    await submit(person, "button[value=do]");
    await person.page.waitForSelector("#confirm[aria-invalid=true]");
  }),
  after("a person, before they are closed", ["olga"], async (person) => {
    await person.open("/people/bob");
    await submit(person, "button[value=close]");
    await person.page.fill("#confirm", "something else");
    await submit(person, "button[value=do]");
  }),
];

SCREENS.full.push(...FORMS);

const isMain = (screen) => screen.picture || FORMS.includes(screen);

const picturesGoTo = process.env.PICTURES;

// Most pictures show what an admin of a team sees.
const isPictured = (screen, who) => picturesGoTo && screen.picture && who === (screen.pictured ?? "alice");

// A screen as it is, dark, with forced colours, and in a narrow window. Only styles change: dark and with forced colours, the
// rules about colours are enough, and in the last two axe looks at the main screens.
async function look(person, screen) {
  const { page } = person;
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: "light", forcedColors: "none" });
  await screen.show(person);
  await person.isSteady();
  if (isPictured(screen, person.who)) await picture(page, picturesGoTo, screen.picture);
  const found = await person.axe(screen.name, "light");
  await page.emulateMedia({ colorScheme: "dark" });
  if (isPictured(screen, person.who) && screen.variants) await picture(page, picturesGoTo, `${screen.picture}-dark`);
  found.push(...(await person.axe(screen.name, "dark", COLOURS)));
  await page.setViewportSize(NARROW);
  await person.fits();
  if (isPictured(screen, person.who) && screen.variants) {
    await page.emulateMedia({ colorScheme: "light" });
    await picture(page, picturesGoTo, `${screen.picture}-narrow`);
    await page.emulateMedia({ colorScheme: "dark" });
  }
  if (!isMain(screen)) return found;
  found.push(...(await person.axe(screen.name, "narrow")));
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
  found.push(...(await person.axe(screen.name, "forced colours", COLOURS)));
  return found;
}

// The same without the page's own script: its place is empty, since axe is a script, too.
async function lookWithoutScript(person, screen) {
  await screen.show(person);
  await person.isSteady();
  return person.axe(screen.name, "no script");
}

// Each test is one person with some of the screens, and services of their own.
function screensOf(who, title, worlds, chosen, how) {
  return test(`${title} of ${PEOPLE[who]}`, async (browser) => {
    const found = [];
    for (const world of worlds) {
      const screens = SCREENS[world].filter((screen) => screen.people.includes(who)).filter(chosen);
      if (!screens.length) continue;
      await inWorld(world, (service) =>
        Person.with(browser, service, who, {}, async (person) => {
          if (how === lookWithoutScript) await person.withoutScript();
          for (const screen of screens) found.push(...(await how(person, screen)));
        }),
      );
    }
    assert.deepEqual(found, []);
  });
}

const others = WORLDS.filter((world) => world !== "full");
const everything = () => true;
const halves = [0, 1].map((half) => (screen) => SCREENS.full.indexOf(screen) % 2 === half);

export const states = EVERYBODY.toReversed().flatMap((who) => [
  screensOf(who, "every second screen", ["full"], halves[0], look),
  screensOf(who, "every other screen", ["full"], halves[1], look),
  screensOf(who, "the screens in other states", others, everything, look),
  // The script does nothing before somebody clicks or types.
  screensOf(who, "the main screens without script", WORLDS, isMain, lookWithoutScript),
]);
