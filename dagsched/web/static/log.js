// The output of an attempt: what is written goes on at the end, what was before is loaded on request, by byte ranges.

const AGAIN_MS = 1000;
const PIECE = 256 * 1024;
const KEPT_CHARS = 4_000_000;
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

const box = document.querySelector("[data-log]");
const out = box?.querySelector("[data-out]");
const decoder = new TextDecoder();
let first = Number(box?.dataset.first ?? 0);
let size = Number(box?.dataset.size ?? 0);
let isOver = box ? "ended" in box.dataset : true;

function atEnd() {
  return out.scrollHeight - out.scrollTop - out.clientHeight < 40;
}

function append(text) {
  const follows = atEnd();
  out.append(text.replace(ESCAPES, ""));
  // A page that is open for days must not grow for ever; what goes is still in the log.
  let chars = out.textContent.length;
  while (chars > KEPT_CHARS && out.childNodes.length > 1) {
    chars -= out.firstChild.textContent.length;
    out.firstChild.remove();
    first = -1;
  }
  if (follows) out.scrollTop = out.scrollHeight;
}

async function range(from, to) {
  const answer = await fetch(box.dataset.log, { headers: { Range: `bytes=${from}-${to ?? ""}` }, credentials: "same-origin" });
  if (answer.status !== 206 && answer.status !== 416) throw new Error(`status ${answer.status}`);
  return { bytes: answer.status === 206 ? new Uint8Array(await answer.arrayBuffer()) : new Uint8Array(), isOver: answer.headers.get("X-Dagsched-Ended") === "true" };
}

async function more() {
  if (document.hidden) return;
  try {
    // A piece at a time: an attempt that writes quickly must not fill the page at once.
    const found = await range(size, size + PIECE - 1);
    size += found.bytes.length;
    if (found.bytes.length) {
      append(decoder.decode(found.bytes, { stream: true }));
      box.querySelector("[data-nothing]").hidden = true;
      box.querySelector("[data-bytes]").textContent = bytes(size);
    } else if (found.isOver) isOver = true;
    if (found.bytes.length === PIECE) return more();
  } catch { /* the server is away for a moment */ }
}

function bytes(count) {
  for (const [unit, name] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) if (count >= unit) return `${(count / unit).toFixed(1)} ${name}`;
  return `${count} B`;
}

async function follow() {
  const words = box.querySelector("[data-following]");
  words.hidden = isOver;
  while (!isOver) {
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    await more();
  }
  words.hidden = true;
}

async function before() {
  const from = Math.max(0, first - PIECE);
  const found = await range(from, first - 1);
  let data = found.bytes;
  let skipped = 0;
  if (from > 0) {
    skipped = data.indexOf(10) + 1; // from the beginning of a line, where there is one
    data = data.subarray(skipped);
  }
  const height = out.scrollHeight;
  out.prepend(new TextDecoder().decode(data).replace(ESCAPES, ""));
  out.scrollTop += out.scrollHeight - height;
  first = from + skipped;
  box.querySelector("[data-earlier]").hidden = first <= 0;
}

// When a run is tried again while its newest output is looked at, the new attempt's is shown.
function newest() {
  const shown = Number(box.dataset.newest ?? 0);
  if (!shown) return;
  const there = document.querySelector('[data-part="attempts"] tbody td')?.textContent;
  if (there && Number(there) > shown) location.reload();
}

if (out) {
  out.scrollTop = out.scrollHeight;
  const load = box.querySelector("[data-load]");
  load.hidden = false;
  load.addEventListener("click", () => { if (first > 0) before(); });
  document.addEventListener("parts", newest);
  follow();
} else if (!box) {
  // Not started yet: the output is there once the page is.
  document.addEventListener("parts", () => { if (document.querySelector('[data-part="attempts"] tbody')) location.reload(); });
}
