// Elapsed times, countdowns and "… ago", each second, from the `datetime` of elements that are marked.
const page = document.documentElement;
// The server's clock counts, not the browser's.
const offset = Date.parse(page.dataset.now) - Date.now();

export function now() {
  return Date.now() + offset;
}

export function length(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  let left = Math.round(seconds);
  if (left >= 600) left -= left % 60;
  const parts = [];
  for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (left >= unit && parts.length < 2) parts.push(`${Math.floor(left / unit)} ${name}`);
    else if (parts.length) break;
    left %= unit;
  }
  return parts.join(" ");
}

function whole(seconds) {
  return seconds < 10 ? `${Math.floor(Math.max(0, seconds))} s` : length(seconds);
}

function update() {
  if (document.hidden) return;
  const at = now();
  for (const element of document.querySelectorAll("[data-since], [data-until], [data-ago]")) {
    const seconds = (at - Date.parse(element.dateTime)) / 1000;
    let words;
    if ("since" in element.dataset) words = whole(seconds);
    else if ("until" in element.dataset) words = seconds > -1 ? "due" : `in ${whole(-seconds)}`;
    else words = seconds < 1 ? "just now" : `${whole(seconds < 60 ? seconds : seconds - seconds % 60)} ago`;
    if (element.textContent !== words) element.textContent = words;
  }
  for (const bar of document.querySelectorAll("progress[data-started]")) {
    const elapsed = (at - Date.parse(bar.dataset.started)) / 1000;
    bar.value = elapsed;
    bar.classList.toggle("over", elapsed > 1.5 * bar.max);
  }
}

export function tick() {
  setInterval(update, 1000);
  document.addEventListener("visibilitychange", update);
}
