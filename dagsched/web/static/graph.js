// The graph: states follow the events, arrow keys go along edges, and the edges of what is looked at stand out.
import { set } from "./live.js";

const svg = () => document.querySelector("svg.graph");
const edges = new Map(); // node → its edges
const nodes = new Map();

function index() {
  edges.clear();
  nodes.clear();
  for (const each of document.querySelectorAll("svg.graph [data-node]")) nodes.set(each.dataset.node, each);
  for (const edge of document.querySelectorAll("svg.graph .edge")) {
    for (const end of [edge.dataset.from, edge.dataset.to]) {
      if (!edges.has(end)) edges.set(end, []);
      edges.get(end).push(edge);
    }
  }
}

function node(name) {
  return nodes.get(name);
}

function show(target, isOn) {
  const found = target.closest?.("[data-node]");
  if (!found) return;
  for (const edge of edges.get(found.dataset.node) ?? []) edge.classList.toggle("is-on", isOn);
}

function beside(name, isForwards) {
  const own = edges.get(name) ?? [];
  return own.filter((edge) => edge.dataset[isForwards ? "from" : "to"] === name).map((edge) => edge.dataset[isForwards ? "to" : "from"]);
}

function walk(event) {
  const here = event.target.closest?.("[data-node]");
  if (!here || event.ctrlKey || event.altKey || event.metaKey) return;
  let next;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    const names = beside(here.dataset.node, event.key === "ArrowRight");
    next = names.length ? node(names[0]) : null;
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    next = nearest(here, event.key === "ArrowDown");
  } else return;
  event.preventDefault();
  if (!next) return;
  next.focus();
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function nearest(here, isDown) {
  const at = here.getBoundingClientRect();
  let found = null;
  let best = Infinity;
  for (const each of document.querySelectorAll("svg.graph [data-node]")) {
    const there = each.getBoundingClientRect();
    const step = isDown ? there.top - at.top : at.top - there.top;
    if (Math.abs(there.left - at.left) < 10 && step > 1 && step < best) { best = step; found = each; }
  }
  return found;
}

function take(runs) {
  for (const [run, state] of runs) {
    const [, job] = run.split(":");
    const found = node(job);
    if (!found || ["is-group", "s-disabled", `s-${state}`].some((name) => found.classList.contains(name))) continue;
    set(found, state);
    for (const edge of edges.get(job) ?? []) {
      if (edge.dataset.from === job) edge.setAttribute("class", `edge e-${state}`);
    }
  }
}

if (svg()) {
  index();
  svg().closest(".canvas").addEventListener("keydown", walk);
  for (const [type, isOn] of [["focusin", true], ["focusout", false], ["mouseover", true], ["mouseout", false]]) {
    svg().closest(".canvas").addEventListener(type, (event) => show(event.target, isOn));
  }
  document.addEventListener("runs", (event) => take(event.detail));
  document.addEventListener("parts", index);
  document.querySelector("svg.graph .is-focus")?.scrollIntoView({ block: "nearest", inline: "center" });
}
