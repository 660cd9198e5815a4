// New events are put on top of the list, made of the row that the page brings along for that; all of it is text.
import { set } from "./live.js";

const page = document.documentElement;
const list = () => document.querySelector("[data-events]"); // which is fetched anew from time to time
const ROWS_AT_ONCE = 50;
const mould = document.querySelector("#event");

function fits(event, { kind, job }) {
  return (!kind || event.type.startsWith(`${kind}.`)) && (!job || event.job === job);
}

function link(path, text, name) {
  const found = document.createElement("a");
  found.href = page.dataset.root + path.map(encodeURIComponent).join("/").replaceAll("%3A", ":");
  found.className = name;
  found.textContent = text;
  return found;
}

function row(event) {
  const found = mould.content.firstElementChild.cloneNode(true);
  const field = (name) => found.querySelector(`[data-field="${name}"]`);
  found.dataset.event = event.seq;
  for (const name of ["seq", "type", "reason"]) field(name).textContent = event[name];
  const time = field("time").querySelector("time");
  time.dateTime = event.time;
  const [, month, day, clock] = /^\d+-(\d+)-(\d+)T([\d:]+)/.exec(event.time);
  time.textContent = `${day} ${"JanFebMarAprMayJunJulAugSepOctNovDec".slice(3 * month - 3, 3 * month)} ${clock.slice(0, 8)}`;
  if (event.job) field("job").append(link(["jobs", event.job], event.job, "job"));
  if (event.run) {
    const tick = event.run.split(":").slice(2).join(":");
    field("job").append(link(["runs", event.run], event.attempt ? `${tick}, attempt ${event.attempt}` : tick, "tick-link"));
  }
  if (event.to) {
    const state = document.createElement("span");
    const words = document.createElement("span");
    state.className = "state";
    words.dataset.words = "";
    state.append(words);
    set(state, event.to);
    field("state").append(state);
  }
  return found;
}

document.addEventListener("events", (heard) => {
  const body = list();
  if (!body) return;
  const newest = Number(body.firstElementChild?.dataset.event ?? 0);
  const fresh = heard.detail.filter((event) => event.seq > newest && fits(event, body.dataset));
  if (!fresh.length) return;
  // Of more than anybody reads the newest are shown; what was there before goes, so that none is missing between two.
  if (fresh.length > ROWS_AT_ONCE) body.replaceChildren();
  body.prepend(...fresh.slice(-ROWS_AT_ONCE).reverse().map(row));
  while (body.childElementCount > Number(body.dataset.events)) body.lastElementChild.remove();
  document.querySelector("[data-none]")?.remove();
  const older = document.querySelector("[data-older]");
  if (!older) return;
  const link = new URL(older.href);
  link.searchParams.set("before", body.lastElementChild.dataset.event);
  older.href = link.href;
});
