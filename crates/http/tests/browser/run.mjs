// Runs the tests of this folder against the example `settings_page`, in the Chromium of the system:
//
//     SETTINGS_PAGE=path/to/settings_page CHROMIUM=path/to/chromium node run.mjs [PART OF A NAME]
//
// With PICTURES=FOLDER, pictures of the main states are written there. The last line has the figures. Exit status 0: each
// test passed, and each figure is reached.

import { launch } from "./support.mjs";
import { figures, summary } from "./figures.mjs";
import { edges } from "./edges.mjs";
import { faults } from "./faults.mjs";
import { flows } from "./flows.mjs";
import { journeys } from "./journeys.mjs";
import { keyboard } from "./keyboard.mjs";
import { secrets } from "./secrets.mjs";
import { states } from "./states.mjs";
import { weight } from "./weight.mjs";

const AT_ONCE = 3;
const only = process.argv[2];
const tests = [states, journeys, flows, secrets, keyboard, edges, faults, weight].flat().filter((test) => !only || test.name.includes(only));
const begun = Date.now();
const failed = [];
const waiting = [...tests];

async function work(browser) {
  for (let test = waiting.shift(); test; test = waiting.shift()) {
    const started = Date.now();
    try {
      await test.run(browser);
      console.log(`ok      ${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${test.name}`);
    } catch (error) {
      failed.push(test.name);
      console.log(`FAILED  ${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${test.name}\n${error.stack ?? error}`);
    }
  }
}

const browser = await launch();
console.log(`Chromium ${browser.version()}`);
await Promise.all(Array.from({ length: AT_ONCE }, () => work(browser)));
await browser.close();

const missed = only ? [] : summary();
for (const line of missed) console.log(`MISSED  ${line}`);
for (const name of failed) console.log(`FAILED  ${name}`);
console.log(`${tests.length - failed.length} of ${tests.length} tests passed in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
console.log(
  `axe saw ${figures.states.size} states of ${figures.people.size} people, in ${figures.modes.size} modes on ${figures.pages} pages, ` +
    `and found ${figures.violations} violations`,
);
process.exit(failed.length || missed.length ? 1 : 0);
