// States follow the event stream. Events only change the class and the words of elements that name their run or job;
// many events are gathered and shown at most four times a second, and seldomer where that takes long. When something happened that the page has no
// element for, its marked parts are fetched again from the server, at most once in a few seconds.
const page = document.documentElement;
const SHOW_MS = 250;
const SHOW_PART = 6; // of the time is spent on showing, at most one part in so many
const FETCH_MS = 3000;
const FETCH_PART = 10; // of the time is spent on fetching, at most one part in so many

const words = { upstream_failed: "upstream failed" };
let changed = new Map(); // run → state
let heard = [];
let isPlanned = false;
let showPause = SHOW_MS;
let mustFetch = false;
let fetched = 0;
let pause = FETCH_MS;
let fetchTimer = 0;

const TYPES = [
  ...["created", "queued", "waiting", "started", "retrying", "succeeded", "failed", "skipped", "upstream_failed", "missed",
    "cancelled", "stopping", "late", "acked", "reopened"].map((name) => `run.${name}`),
  "job.paused", "job.resumed", "job.created", "job.updated", "job.deleted", "config.applied", "config.rejected", "config.mended",
];
// Of these only the list of events tells.
const ALSO = [
  "run.called", "attempt.adopted", "attempt.unknown", "config.unwatched", "event.emitted", "event.repeated", "clock.stepped",
  "daemon.started", "daemon.stopped", "backfill.started", "backfill.done", "backfill.cancelled", "api.audit", "executor.remark",
];
const HEARD_MAX = 5000;
let seq = page.dataset.seq;
let source = null;

export function follow() {
  if (!seq) return;
  listen();
  document.addEventListener("visibilitychange", turn);
}

function listen() {
  const hint = document.querySelector("[data-live]");
  source = new EventSource(`${page.dataset.root}api/v1/events/stream?since=${seq}`);
  source.onopen = () => hint && (hint.hidden = false);
  source.onerror = () => hint && (hint.hidden = true);
  for (const type of TYPES) source.addEventListener(type, take);
  for (const type of ALSO) source.addEventListener(type, hear);
}

// A browser has few connections to one server for all its windows: one that nobody sees gives its own back.
async function turn() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    changed.clear();
    await fetchParts();
    if (!document.hidden && !source) listen();
  }
}

function hear(message) {
  const event = JSON.parse(message.data);
  heard.push(event);
  if (heard.length > HEARD_MAX) {
    heard.shift();
    mustFetch = true; // a list of events would have a gap
  }
  plan();
  return event;
}

function take(message) {
  const event = hear(message);
  if (event.run && event.to) changed.set(event.run, event.to);
  else mustFetch = true;
}

function plan() {
  if (isPlanned || document.hidden) return;
  isPlanned = true;
  setTimeout(show, showPause);
}

function show() {
  isPlanned = false;
  const begun = performance.now();
  const now = changed;
  changed = new Map();
  const events = heard;
  heard = [];
  if (events.length) document.dispatchEvent(new CustomEvent("events", { detail: events }));
  const seen = new Set();
  if (now.size) {
    for (const element of document.querySelectorAll("[data-run]")) {
      const state = now.get(element.dataset.run);
      if (state === undefined) continue;
      seen.add(element.dataset.run);
      set(element, state);
    }
    if (document.querySelector("[data-part]")) mustFetch = true;
    document.dispatchEvent(new CustomEvent("runs", { detail: now }));
  }
  if (mustFetch) planFetch();
  // Counted to the end of the next frame: what is changed here has yet to be laid out and painted.
  requestAnimationFrame(() => setTimeout(() => {
    showPause = Math.max(SHOW_MS, SHOW_PART * (performance.now() - begun));
  }));
}

export function set(element, state) {
  if (element.classList.contains(`s-${state}`)) return;
  for (const name of [...element.classList]) if (name.startsWith("s-")) element.classList.remove(name);
  element.classList.add(`s-${state}`);
  const text = element.querySelector("[data-words]");
  if (text) text.textContent = words[state] ?? state;
}

function planFetch() {
  if (fetchTimer) return;
  fetchTimer = setTimeout(fetchParts, Math.max(0, fetched + pause - Date.now()));
}

async function fetchParts() {
  clearTimeout(fetchTimer);
  fetchTimer = 0;
  mustFetch = false;
  fetched = Date.now();
  if (document.hidden) return;
  let text;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok) return;
    text = await answer.text();
  } catch { return; }
  pause = Math.max(FETCH_MS, FETCH_PART * (Date.now() - fetched));
  const there = new DOMParser().parseFromString(text, "text/html");
  seq = there.documentElement.dataset.seq ?? seq;
  for (const old of document.querySelectorAll("[data-part]")) {
    const fresh = there.querySelector(`[data-part="${CSS.escape(old.dataset.part)}"]`);
    // A part that somebody is using stays as it is.
    if (fresh && !old.contains(document.activeElement) && !old.querySelector(":checked")) old.replaceWith(document.adoptNode(fresh));
  }
  document.dispatchEvent(new CustomEvent("parts"));
}
