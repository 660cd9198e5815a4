// A file that is picked or dropped is read here and put where its text could have been pasted.
const form = document.querySelector("[data-plan]");

async function take(file) {
  if (!file) return;
  const area = form.querySelector("textarea");
  area.value = await file.text();
  const place = form.querySelector("select[name=in_place_of]");
  const same = [...place.options].find((option) => option.textContent.trim() === file.name);
  if (same) place.value = same.value;
  area.focus();
}

if (form) {
  const pick = form.querySelector("[data-pick]");
  pick.hidden = false;
  pick.querySelector("input").addEventListener("change", (event) => take(event.target.files[0]));
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  form.addEventListener("submit", () => {
    form.querySelector("button").disabled = true;
  });
}
