// Services in the states that the screens are looked at in.

import { Service } from "./support.mjs";

const HOSTILE = '<script>alert(1)</script> "quoted" & =HYPERLINK("x") ' + "\u{1F600}".repeat(20);
const DAY = 86_400;

const inDays = (days) => new Date(Date.now() + days * DAY * 1000).toISOString();

// Keys in every state, and rotations at every step. Returns their ids.
async function full(service) {
  const ids = {};
  const own = { owner: { kind: "user", id: "alice" } };
  const one = async (name, more) => (ids[name] = (await service.key("alice", name, more)).id);

  // The oldest, so that it is the last in the pictures.
  await one(HOSTILE, { labels: { ticket: "OPS-1 <b>", "installed-in": "repo & secrets" } });

  // Rotations that began hours ago.
  await service.state("jobs");
  const safe = await service.successor("alice", await service.idOf("GitHub Actions - production"));
  await service.install("GitHub Actions - production", safe.text);
  const quiet = await service.key("alice", "Webhook relay - staging");
  await service.call(quiet.text, "relay/1.0", "/intake/relay");
  await service.state("flush");
  const quietNew = await service.successor("alice", quiet.id);
  for (const [name, end] of [["finished", "finish"], ["aborted", "abort"]]) {
    const old = await service.key("alice", `Log shipper - ${name}`);
    const made = await service.successor("alice", old.id);
    await service.call(made.text, "shipper/3", "/intake/logs");
    await service.state("flush");
    if (end === "finish") await service.state("later?seconds=7200");
    await service.api("alice", "POST", `/keys/${made.id}/rotation/${end}`);
    ids[name] = made.id;
  }
  await service.state("later?seconds=10800");
  await service.state("jobs");
  Object.assign(ids, { safe: safe.id, quiet: quietNew.id });

  const waiting = await service.successor("alice", await service.idOf("Monday cron"));
  ids.waiting = waiting.id;
  const refused = await service.key("alice", "Report mailer - production");
  await service.call(refused.text, "mailer/2");
  const refusedNew = await service.successor("alice", refused.id);
  await service.api("alice", "POST", `/keys/${refusedNew.id}/pause`);
  await service.call(refusedNew.text, "mailer/2");
  await service.api("alice", "POST", `/keys/${refusedNew.id}/resume`);
  ids.refused = refusedNew.id;

  const used = await service.key("alice", "Zapier - intake");
  for (const client of ["zapier/1", "curl/8.5.0", ""]) await service.call(used.text, client, "/intake/zapier");
  ids.used = used.id;
  await one("Nightly backup - staging");
  await service.api("alice", "POST", `/keys/${ids["Nightly backup - staging"]}/pause`);
  await service.call((await service.key("alice", "Probe - staging")).text);
  await one("Old deploy - 2024");
  await service.api("alice", "POST", `/keys/${ids["Old deploy - 2024"]}/revoke`, {});
  await one("Audit export", { expires_at: inDays(5), scopes: ["agents:read"], responsible: "olga" });
  await one("laptop of alice", { ...own, expires_at: inDays(90) });
  const lone = await service.api("mo", "POST", "/keys", { owner: { kind: "user", id: "mo" }, name: "My notebook" });
  ids.mo = lone.key.id;
  ids.hostile = ids[HOSTILE];
  ids.live = await service.idOf("key1");
  ids.own = ids["laptop of alice"];

  for (const bad of ["team.AAAA", "nonsense", "Bearer x"]) await service.call(bad);
  await service.state("flush");
  service.secret = used.text;
  return ids;
}

const PREPARE = {
  full,
  async empty() {},
  async suspended(service) {
    await service.api("olga", "POST", "/owners/team/engineering/suspend", {});
  },
  async closed(service) {
    await service.api("olga", "POST", "/owners/team/engineering/close");
  },
  async "free plan"(service) {
    await service.plan("Free");
  },
  async unreadable(service) {
    const { id } = await service.key("alice", "Broken record");
    await service.state(`damage?key=${id}`);
  },
  async "store down"(service) {
    await service.state("store?answers=0");
  },
  async "names down"(service) {
    await service.state("names?down=1");
  },
  async hundred(service) {
    for (let n = 0; n < 110; n++) await service.key("alice", `GitHub Actions - service ${n}`);
    await service.state("jobs");
  },
};

export const WORLDS = Object.keys(PREPARE);

// Runs a test with a service in a state.
export const inWorld = (name, run) =>
  Service.with(async (service) => {
    service.ids = (await PREPARE[name](service)) ?? {};
    return run(service);
  });
