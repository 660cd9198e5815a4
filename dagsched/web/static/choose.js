// What is ticked: all at once, and how many there are.
const boxes = () => [...document.querySelectorAll('table.list input[type="checkbox"][name]')];

function update() {
  const bar = document.querySelector("[data-bulk]");
  if (!bar) return;
  const all = boxes();
  const chosen = all.filter((box) => box.checked).length;
  const words = bar.querySelector("[data-chosen]");
  words.textContent = chosen ? `${chosen} ticked` : "tick some";
  for (const button of bar.querySelectorAll("button")) button.disabled = !chosen;
  const label = bar.querySelector("[data-all]");
  label.hidden = false;
  const box = label.querySelector("input");
  box.checked = chosen > 0 && chosen === all.length;
  box.indeterminate = chosen > 0 && chosen < all.length;
}

export function choose() {
  update();
  document.addEventListener("change", (event) => {
    const target = event.target;
    if (target.closest("[data-all]")) for (const box of boxes()) box.checked = target.checked;
    if (target.matches("[data-filter] select")) target.form.requestSubmit();
    if (target.type === "checkbox") update();
  });
  document.addEventListener("parts", update);
}
