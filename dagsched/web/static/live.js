// States follow the event stream. Events only change the class and the words of elements that name their run or job;
// many events are gathered and shown at most four times a second. When something happened that the page has no
// element for, its marked parts are fetched again from the server, at most once in a few seconds.
const page = document.documentElement;
const SHOW_MS = 250;
const FETCH_MS = 3000;

const words = { upstream_failed: "upstream failed" };
let changed = new Map(); // run → state
let isPlanned = false;
let mustFetch = false;
let fetched = 0;
let fetchTimer = 0;

export function follow() {
  if (!page.dataset.seq) return;
  const job = page.dataset.onlyJob ? `&job=${encodeURIComponent(page.dataset.onlyJob)}` : "";
  const source = new EventSource(`${page.dataset.root}api/v1/events/stream?since=${page.dataset.seq}${job}`);
  const hint = document.querySelector("[data-live]");
  source.onopen = () => hint && (hint.hidden = false);
  source.onerror = () => hint && (hint.hidden = true);
  for (const type of ["created", "queued", "waiting", "started", "retrying", "succeeded", "failed", "skipped",
    "upstream_failed", "missed", "cancelled", "stopping", "late", "acked", "reopened"]) source.addEventListener(`run.${type}`, take);
  for (const type of ["job.paused", "job.resumed", "job.created", "job.updated", "job.deleted", "config.applied", "config.rejected"]) source.addEventListener(type, take);
  document.addEventListener("visibilitychange", plan);
}

function take(message) {
  const event = JSON.parse(message.data);
  if (event.run && event.to) changed.set(event.run, event.to);
  else mustFetch = true;
  plan();
}

function plan() {
  if (isPlanned || document.hidden) return;
  isPlanned = true;
  setTimeout(show, SHOW_MS);
}

function show() {
  isPlanned = false;
  const now = changed;
  changed = new Map();
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
}

export function set(element, state) {
  for (const name of [...element.classList]) if (name.startsWith("s-")) element.classList.remove(name);
  element.classList.add(`s-${state}`);
  const text = element.querySelector("[data-words]");
  if (text) text.textContent = words[state] ?? state;
}

function planFetch() {
  if (fetchTimer) return;
  fetchTimer = setTimeout(fetchParts, Math.max(0, fetched + FETCH_MS - Date.now()));
}

async function fetchParts() {
  fetchTimer = 0;
  mustFetch = false;
  fetched = Date.now();
  if (document.hidden) { mustFetch = true; return; }
  let text;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok) return;
    text = await answer.text();
  } catch { return; }
  const there = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const fresh = there.querySelector(`[data-part="${CSS.escape(old.dataset.part)}"]`);
    // A part that somebody is using stays as it is.
    if (fresh && !old.contains(document.activeElement) && !old.querySelector(":checked")) old.replaceWith(document.adoptNode(fresh));
  }
  document.dispatchEvent(new CustomEvent("parts"));
}
