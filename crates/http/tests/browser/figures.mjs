// What the run counted, and what it has to reach.

export const figures = {
  // Screen and person.
  states: new Set(),
  people: new Set(),
  modes: new Set(),
  pages: 0,
  violations: 0,
  sizes: {},
};

const KIB = 1024;
const most = { css: 10 * KIB, js: 6 * KIB, "html of 100 rows": 60 * KIB };

// Prints the figures; returns those that are missed.
export function summary() {
  const missed = [];
  for (const [name, limit] of Object.entries(most)) {
    const size = figures.sizes[name];
    console.log(`${name}: ${size} of at most ${limit} bytes`);
    if (!(size > 0 && size <= limit)) missed.push(`${name}: ${size} bytes`);
  }
  if (figures.states.size < 40) missed.push(`axe saw only ${figures.states.size} states`);
  if (figures.people.size !== 3) missed.push(`axe saw what ${figures.people.size} people see`);
  for (const mode of ["light", "dark", "narrow", "forced colours", "no script"]) {
    if (!figures.modes.has(mode)) missed.push(`axe saw nothing in the mode ${mode}`);
  }
  if (figures.violations) missed.push(`${figures.violations} violations`);
  return missed;
}
