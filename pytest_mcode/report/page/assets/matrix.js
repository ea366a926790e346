// The matrix of tasks and runs: a grid that is drawn from what is searched and filtered for.

const ROWS = 1000;
const STATUS = { s: "solved", u: "unsolved", e: "error" };
const GLYPH = { solved: "✓", unsolved: "✗", error: "!", absent: "·" };
let shown = [];

const status = (cell) => (cell === null ? "absent" : STATUS[cell[0]]);
const samples = (cell) => (cell && cell.length > 1 ? cell.slice(1).split(" ") : []);
const passes = (cell) => samples(cell).filter((letters) => letters.endsWith("p")).length;

/** gained, lost or nothing, of a cell against the baseline's. */
function flip(cell, base) {
  const [before, now] = [status(base), status(cell)];
  if (before === "unsolved" && now === "solved") return "gained";
  return before === "solved" && now === "unsolved" ? "lost" : "";
}

function flips(cells) {
  const all = cells.map(status);
  return all.includes("solved") && all.includes("unsolved");
}

/** Whether a cell is what the filter asks for: a status, or the letter of a verdict. */
function fits(cell, outcome) {
  if (outcome === "") return true;
  return outcome.length > 1 ? status(cell) === outcome : cell !== null && cell.slice(1).includes(outcome);
}

function wanted(group) {
  const [text, outcome, which] = [$("search").value.trim().toLowerCase(), $("outcome").value, $("which").value];
  const solved = (cells) => cells.filter((cell) => status(cell) === "solved").length;
  const found = group.tasks.map((_, number) => number).filter((number) => {
    const cells = group.cells[number];
    const asked = which === "any" || which === "every" ? cells : [cells[which - 1]];
    const all = asked.map((cell) => fits(cell, outcome));
    return (
      group.tasks[number].toLowerCase().includes(text) &&
      (which === "every" ? all.every(Boolean) : all.some(Boolean)) &&
      (!$("flips").checked || flips(cells))
    );
  });
  const direction = { hard: 1, easy: -1 }[$("order").value] ?? 0;
  return found.sort((a, b) => direction * (solved(group.cells[a]) - solved(group.cells[b])) || a - b);
}

function cellOf(cell, base, run) {
  const its = status(cell);
  const turned = run.number === state.baseline ? "" : flip(cell, base);
  const drawn = samples(cell).length;
  const counted = drawn > 1 ? `, ${passes(cell)} of ${drawn} samples passed` : "";
  const words = `${its === "absent" ? "not run" : its}${counted}${turned && `, ${turned} against run ${state.baseline}`}`;
  const mark = { gained: "▲", lost: "▼" }[turned] ?? "";
  const text = GLYPH[its] + (drawn > 1 ? ` ${passes(cell)}/${drawn}` : "") + (mark && ` ${mark}`);
  return make(
    "td",
    { role: "gridcell", tabindex: -1, class: `cell ${its} ${turned}`, "aria-label": `run ${run.number}: ${words}` },
    text,
  );
}

function header(group) {
  const cells = group.runs.map((run) => {
    const base = run.number === state.baseline && group.runs.length > 1 ? [make("small", {}, "baseline")] : [];
    const name = make("span", { title: runName(run) }, visible(run.label));
    return make("th", { scope: "col", role: "columnheader" }, make("b", {}, String(run.number)), name, ...base);
  });
  return make("tr", { role: "row" }, make("th", { scope: "col", role: "columnheader" }, "task"), ...cells);
}

function row(group, number) {
  const cells = group.cells[number];
  const name = make("th", { scope: "row", role: "rowheader", tabindex: -1 }, visible(group.tasks[number]));
  const drawn = cells.map((cell, place) => cellOf(cell, cells[state.baseline - 1], group.runs[place]));
  return make("tr", { role: "row", "data-task": number }, name, ...drawn);
}

function drawMatrix(limit = ROWS) {
  const group = data[state.group];
  shown = wanted(group);
  $("count").textContent = `${shown.length} of ${group.tasks.length} tasks`;
  $("base").textContent = group.runs.length > 1 ? runName(group.runs[state.baseline - 1]) : "another";
  const rows = shown.slice(0, limit).map((number) => row(group, number));
  const table = make(
    "table",
    { role: "grid", "aria-labelledby": "tasks", "aria-describedby": "legend", "aria-rowcount": shown.length + 1 },
    make("thead", { role: "rowgroup" }, header(group)),
    make("tbody", { role: "rowgroup" }, ...rows),
  );
  $("matrix").replaceChildren(shown.length ? table : make("p", { class: "note" }, "No task fits these filters."));
  table.querySelector("tbody th")?.setAttribute("tabindex", "0");
  $("more").hidden = shown.length <= limit;
  $("more").textContent = `Show all ${shown.length} tasks`;
}

function focusCell(cell) {
  $("matrix").querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
  cell.setAttribute("tabindex", "0");
  cell.focus();
}

function moved(event) {
  const cell = event.target.closest("td, tbody th");
  if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
  const line = cell.parentElement;
  const last = line.cells.length - 1;
  const to = {
    ArrowRight: () => line.cells[Math.min(cell.cellIndex + 1, last)],
    ArrowLeft: () => line.cells[Math.max(cell.cellIndex - 1, 0)],
    ArrowDown: () => line.nextElementSibling?.cells[cell.cellIndex],
    ArrowUp: () => line.previousElementSibling?.cells[cell.cellIndex],
    Home: () => line.cells[0],
    End: () => line.cells[last],
  }[event.key];
  if (event.key === "Enter" || event.key === " ") openTask(Number(line.dataset.task), cell.cellIndex || undefined);
  else if (to) focusCell(to() ?? cell);
  else return;
  event.preventDefault();
}

function watchMatrix() {
  $("matrix").addEventListener("keydown", moved);
  $("matrix").addEventListener("click", (event) => {
    const cell = event.target.closest("td, tbody th");
    if (!cell) return;
    focusCell(cell);
    openTask(Number(cell.parentElement.dataset.task), cell.cellIndex || undefined);
  });
  const filters = document.querySelector("form.filters");
  filters.addEventListener("input", () => drawMatrix());
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(drawMatrix));
  $("more").addEventListener("click", () => drawMatrix(Infinity));
}
