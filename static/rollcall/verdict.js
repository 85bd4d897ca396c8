// What the page may claim of its age, as [status, in short, sentence, since when]. No DOM here:
// live.js tells what it knows and shows what comes of it.
//
//   live           what is shown is current
//   connecting     nothing was heard yet
//   worker-silent  the page hears Rollcall, but a part of Rollcall does not do its work
//   stale          what is shown is old

import { span, stamp } from "./times.js";

const SILENCE = 10_000; // ms without a message: the connection is dead, whatever the browser says
const PATIENCE = 2_000; // ms a reconnection may take unsaid
const HUB_YOUNG = 5_000; // ms in which a new hub need not have heard a worker
const SKEW = 5_000; // ms by which the two clocks may differ unsaid

export { SILENCE };

function silentRedis({ redis_since: since }) {
  const what = "no worker can be heard. Those that live go on by the database; jobs wait";
  return ["Redis silent", `Redis is out of reach since ${stamp(since)}: ${what}.`, since];
}

function silentWorkers({ workers, at, started_at: started }) {
  const late = workers.filter((worker) => worker.late);
  if (workers.length === late.length) {
    const newest = late.map((worker) => worker.heard_at).sort().at(-1);
    const young = Date.parse(at) - Date.parse(started) < HUB_YOUNG;
    if (!newest && young) return null;
    const since = newest ?? started;
    const what = "nothing registers or renews, and what falls due turns unknown";
    return ["Worker silent", `No worker heard since ${stamp(since)}: ${what}.`, since];
  }
  const [first] = late;
  if (!first) return null;
  const where = first.site ? ` of site ${first.site}` : "";
  const what = `Worker ${first.name}${where} not heard since ${stamp(first.heard_at)}`;
  return ["Worker silent", `${what}: what it held turns unknown as it falls due.`, first.heard_at];
}

function silentBeat({ tick_late: late, ticked_at: since }) {
  const what = "workers look for what falls due by themselves; jobs wait";
  return late && ["Beat silent", `Beat is silent since ${stamp(since)}: ${what}.`, since];
}

// The parts of Rollcall that keep the fleet, the one that stops the others first.
function unattended(heartbeat) {
  if (!heartbeat.redis) return silentRedis(heartbeat);
  return silentWorkers(heartbeat) || silentBeat(heartbeat);
}

// `quiet`: ms since the last message, at `seen`. `lost`: ms since the connection broke, 0 if it stands.
// `gone`: when the handset whose page this is was found to be gone, if it was.
export function verdict({ quiet, lost, seen, loggedOut, board, heartbeat, gone }) {
  const not = (sentence, since = seen) => ["stale", "Not live", sentence, since];
  if (loggedOut) {
    const why = board ? "An admin has revoked this screen's address" : "You are logged out";
    return not(`${why}: what you see is from ${stamp(seen)}.`);
  }
  if (quiet > SILENCE || lost > PATIENCE) {
    return not(`No news from Rollcall since ${stamp(seen)}, reconnecting. What you see is from then.`);
  }
  if (heartbeat === null) return ["connecting", "Connecting", "", 0];
  if (!heartbeat.database) {
    const { read_at: read, started_at: started } = heartbeat;
    const since = read ? ` since ${stamp(read)}` : "";
    return not(`The database is out of reach: nothing new${since}.`, read ?? started);
  }
  if (gone) {
    return not(`This handset is not there any more, or not at a site you may see: what you see is from ${stamp(gone)}.`, gone);
  }
  const part = unattended(heartbeat);
  return part ? ["worker-silent", ...part] : ["live", "Live", "", 0];
}

// Of a computer whose clock is off: `ahead` is by how many ms Rollcall's is ahead of it.
export function skewed(ahead) {
  if (Math.abs(ahead) < SKEW) return "";
  const way = ahead > 0 ? "behind" : "ahead of";
  return `This computer's clock is ${span(ahead / 1000)} ${way} Rollcall's: ages and countdowns here go by Rollcall's.`;
}
