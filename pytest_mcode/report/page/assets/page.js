// What is chosen for the whole page: the benchmark, the baseline, the colours, the order of runs.

function chooseGroup(number) {
  state.group = number;
  document.querySelectorAll(".group").forEach((box) => (box.hidden = Number(box.dataset.group) !== number));
  if ($("group")) $("group").value = number;
  const runs = data[number].runs.map((run) => make("option", { value: run.number }, `run ${runName(run)}`));
  $("which").replaceChildren(make("option", { value: "any" }, "any run"), make("option", { value: "every" }, "every run"), ...runs);
  chooseBaseline(1);
}

function chooseBaseline(number) {
  state.baseline = number;
  const box = document.querySelectorAll(".group")[state.group];
  box.querySelectorAll(".pairs").forEach((pairs) => (pairs.hidden = Number(pairs.dataset.baseline) !== number));
  const chosen = box.querySelector(".baseline");
  if (chosen) chosen.value = number;
  drawMatrix();
}

function chooseTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  $("theme").value = name;
  redraw();
}

/** The kept choice; a browser may keep nothing for files. */
function kept(name) {
  try {
    if (name !== undefined) localStorage.setItem("mcode-theme", name);
    return localStorage.getItem("mcode-theme") ?? "";
  } catch {
    return name ?? "";
  }
}

function sortBy(table, place) {
  const head = table.tHead.rows[0].cells[place];
  const up = head.getAttribute("aria-sort") === "descending";
  const key = (row) => row.cells[place].dataset.value;
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? (a < b ? -1 : a > b ? 1 : 0) : a - b);
  const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * compare(key(a), key(b)));
  table.tBodies[0].append(...rows);
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    const button = make("button", { type: "button" }, ...cell.childNodes);
    button.addEventListener("click", () => sortBy(table, place));
    cell.append(button);
  });
}
$("group")?.addEventListener("change", () => chooseGroup(Number($("group").value)));
$("theme").addEventListener("change", () => chooseTheme(kept($("theme").value)));
for (const chosen of document.querySelectorAll(".baseline")) {
  chosen.addEventListener("change", () => chooseBaseline(Number(chosen.value)));
}
watchMatrix();
watchTask();
chooseTheme(["light", "dark"].includes(kept()) ? kept() : "");
chooseGroup(0);
openNamed();
watchCharts();
document.documentElement.dataset.ready = performance.now();
