// Keys: `/` to search, `j` and `k` through the rows of the first list, Enter opens, `g` and a letter changes the page.
let here = -1;
let after = "";

function rows() {
  return [...document.querySelectorAll("main table.list tbody tr")];
}

function go(step) {
  const all = rows();
  if (!all.length) return;
  here = all.findIndex((row) => row.classList.contains("is-here"));
  all[here]?.classList.remove("is-here");
  here = Math.min(all.length - 1, Math.max(0, here + step));
  all[here].classList.add("is-here");
  all[here].scrollIntoView({ block: "nearest" });
  all[here].querySelector("a")?.focus();
}

function isTyping(target) {
  return target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

export function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const key = event.key;
    if (after === "g") {
      after = "";
      const links = [...document.querySelectorAll(".top nav a")];
      const found = links.find((link) => link.textContent.trim().toLowerCase().startsWith(key));
      if (found) { event.preventDefault(); found.click(); }
      return;
    }
    if (key === "g") { after = "g"; setTimeout(() => { after = ""; }, 1000); }
    else if (key === "/") {
      const field = document.querySelector("[data-search]");
      if (field) { event.preventDefault(); field.focus(); field.select?.(); }
    } else if (key === "j") go(1);
    else if (key === "k") go(-1);
  });
}
