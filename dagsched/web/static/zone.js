// Times in the reader's own zone, for whoever asks for that with the button in the footer; kept in this browser.
// What the server wrote is UTC and says which parts of a time it took for needed: the same parts are written here.
import { now } from "./clock.js";

const KEY = "dagsched-zone";
const OWN = Intl.DateTimeFormat().resolvedOptions().timeZone;
const TIMES = "time[datetime]:not([data-since], [data-until], [data-ago]), [data-at]";
const format = new Intl.DateTimeFormat("en-GB", {
  hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", weekday: "short",
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function partsOf(at) {
  return Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
}

function stamp(at) {
  const { year, month, day, hour, minute, second, timeZoneName } = partsOf(at);
  return `${year}-${month}-${day} ${hour}:${minute}:${second} ${timeZoneName}`;
}

// `text`: how the server says it, whose form is followed.
export function said(at, text) {
  if (/^\d{4}-.*UTC$/.test(text)) return stamp(at);
  if (text.endsWith(" UTC")) return `${said(at, text.slice(0, -4))} ${partsOf(at).timeZoneName}`;
  const it = partsOf(at);
  const today = partsOf(now());
  const hasSeconds = /:\d\d:/.test(text);
  const clock = hasSeconds ? `${it.hour}:${it.minute}:${it.second}` : `${it.hour}:${it.minute}`;
  const isToday = ["year", "month", "day"].every((name) => it[name] === today[name]);
  if (!text.includes(":")) return clock === "00:00" ? `${it.weekday} ${it.day}` : `${it.weekday} ${it.day} ${clock}`;
  if (/^\d\d:/.test(text) ? isToday || !hasSeconds : isToday && !hasSeconds) return clock;
  return it.year === today.year ? `${it.day} ${MONTHS[it.month - 1]} ${clock}` : `${it.year}-${it.month}-${it.day} ${clock}`;
}

function isOwn() {
  try { return localStorage.getItem(KEY) === "own"; } catch { return false; }
}

function keep(isWanted) {
  try { localStorage.setItem(KEY, isWanted ? "own" : "utc"); } catch { /* a browser that keeps nothing */ }
}

function show(isWanted) {
  for (const element of document.querySelectorAll(TIMES)) {
    if (isWanted) {
      element.dataset.utc ??= element.textContent;
      element.textContent = said(Date.parse(element.dataset.at ?? element.dateTime), element.dataset.utc);
    } else if ("utc" in element.dataset) {
      element.textContent = element.dataset.utc;
      delete element.dataset.utc;
    }
  }
}

// What a pointer rests on is said in both zones.
function hint(event) {
  const element = event.target.closest?.("time[datetime]");
  if (!element || element.dataset.both) return;
  element.dataset.both = "true";
  const at = Date.parse(element.dateTime);
  element.title = `${element.title || new Date(at).toISOString().replace("T", " ").replace(/\..*/, " UTC")}\n${stamp(at)}`;
}

export function zone() {
  const button = document.querySelector("[data-zone]");
  if (!button || new Date(now()).getTimezoneOffset() === 0) return;
  const words = document.querySelector("[data-zone-words]");
  const utcWords = words.textContent;
  let isWanted = isOwn();
  const update = () => {
    show(isWanted);
    words.textContent = isWanted ? `Times are those of ${OWN} unless they say another zone.` : utcWords;
    button.textContent = isWanted ? "Show UTC" : `Show ${OWN}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    isWanted = !isWanted;
    keep(isWanted);
    update();
  });
  document.addEventListener("mouseover", hint);
  document.addEventListener("parts", () => isWanted && show(true));
  document.addEventListener("events", () => isWanted && setTimeout(() => show(true))); // once the new rows stand
  update();
}
