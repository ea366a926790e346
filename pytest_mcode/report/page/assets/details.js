// One task with all attempts of a run, unpacked when it is opened.

const open = { task: 0, run: 1 };
const COLOURS = { c: "comment", s: "string", n: "number", k: "keyword", f: "name", b: "builtin", d: "decorator", i: "inserted", x: "deleted" };

const seconds = (value) => `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} s`;

/** Code in spans by its marks: a letter and a length, again and again. */
function coloredCode(text, marks = "") {
  const code = make("code");
  let at = 0;
  for (const [, letter, length] of marks.matchAll(/([a-z-])(\d+)/g)) {
    const piece = visible(text.slice(at, (at += Number(length))));
    code.append(letter in COLOURS ? make("span", { class: `t-${COLOURS[letter]}` }, piece) : piece);
  }
  code.append(visible(text.slice(at)));
  return code;
}

function block(title, text, { marks, closed = false } = {}) {
  const head = make("summary", {}, title);
  const pre = make("pre", { tabindex: 0, role: "region", "aria-label": title }, coloredCode(text, marks));
  return make("details", { class: "text", open: !closed }, head, pre);
}

function facts(attempt) {
  const told = [
    attempt.prompt_tokens !== undefined && `${attempt.prompt_tokens} prompt tokens`,
    attempt.completion_tokens !== undefined && `${attempt.completion_tokens} completion tokens`,
    attempt.generation_seconds !== undefined && `generated in ${seconds(attempt.generation_seconds)}`,
    attempt.generation_tries > 1 && `asked for ${attempt.generation_tries} times`,
    attempt.finish_reason && `ended by ${attempt.finish_reason}`,
    attempt.execution_seconds !== undefined && `executed in ${seconds(attempt.execution_seconds)}`,
    attempt.first_execution_seconds !== undefined && `at first in ${seconds(attempt.first_execution_seconds)}`,
    attempt.execution_mode,
    attempt.exit_code !== undefined && `exit code ${attempt.exit_code}`,
  ];
  return make("p", { class: "facts" }, visible(told.filter(Boolean).join(" · ")));
}

/** The turns that an attempt was sent; the last of them open. */
function prompt(task, attempt) {
  return (attempt.turns ?? []).map(([role, text], place, all) => {
    const title = `Prompt, turn ${place + 1} of ${all.length}: ${visible(role)}`;
    return block(title, task.texts[text], { closed: place < all.length - 1 });
  });
}

function attemptOf(task, attempt, deciding) {
  const text = (name) => task.texts[attempt[name]];
  const parts = [facts(attempt)];
  if (attempt.error) parts.push(make("p", { class: "note" }, visible(attempt.error)));
  parts.push(...prompt(task, attempt));
  if ("thinking" in attempt) parts.push(block("Thinking", text("thinking"), { closed: true }));
  if ("solution" in attempt) parts.push(block("Solution", text("solution"), { marks: task.marks[attempt.solution] }));
  if ("completion" in attempt) parts.push(block("Completion", text("completion"), { closed: "solution" in attempt }));
  if ("stdout" in attempt) parts.push(block("Output", text("stdout")));
  if ("stderr" in attempt) parts.push(block("Errors of the program", text("stderr")));
  const title = `Sample ${attempt.sample}, attempt ${attempt.attempt}: `;
  const verdict = make("b", { class: `verdict ${attempt.verdict}` }, attempt.verdict);
  const spent = make("small", {}, ` ${attempt.completion_tokens ?? "-"} tokens, ${seconds(attempt.generation_seconds ?? 0)}`);
  const head = make("summary", {}, title, verdict, spent);
  return make("details", { class: "attempt", open: attempt === deciding }, head, ...parts);
}

function statusOf(cell) {
  const its = status(cell);
  const drawn = samples(cell);
  if (!drawn.length) return its === "absent" ? "not run" : its;
  return `${its}: ${passes(cell)} of ${drawn.length} sample${drawn.length > 1 ? "s" : ""} passed`;
}

async function drawTask() {
  const group = data[state.group];
  const { task: number, run } = open;
  const cell = group.cells[number][run - 1];
  $("task-title").textContent = visible(group.tasks[number]);
  $("task-status").textContent = statusOf(cell);
  $("task-status").className = status(cell);
  $("run").replaceChildren(
    ...group.runs.map((its, place) => {
      const told = `${runName(its)}: ${status(group.cells[number][place])}`;
      return make("option", { value: its.number, selected: its.number === run }, told.replace("absent", "not run"));
    }),
  );
  const place = shown.indexOf(number);
  $("previous").disabled = place <= 0;
  $("next").disabled = place < 0 || place === shown.length - 1;
  history.replaceState(null, "", `#${new URLSearchParams({ group: state.group, task: group.tasks[number], run })}`);
  const task = JSON.parse(await unpacked(`details-${state.group}-${number}`));
  if (number !== open.task || run !== open.run) return;
  const attempts = task.runs[run] ?? [];
  const deciding = attempts.find((its) => its.verdict === "passed") ?? attempts[0];
  const fault = task.faults[run] ? [make("p", { class: "note" }, visible(task.faults[run]))] : [];
  const none = attempts.length ? [] : [make("p", {}, "No attempt is recorded.")];
  $("task-body").replaceChildren(...fault, ...none, ...attempts.map((its) => attemptOf(task, its, deciding)));
  $("task-body").scrollTop = 0;
}

function openTask(number, run) {
  const group = data[state.group];
  const first = group.cells[number].findIndex((cell) => cell !== null) + 1;
  Object.assign(open, { task: number, run: run ?? (first || 1) });
  drawTask();
  if (!$("task").open) $("task").showModal();
}

function step(by) {
  const next = shown[shown.indexOf(open.task) + by];
  if (next !== undefined) openTask(next, open.run);
}

/** Open what the address names. */
function openNamed() {
  const named = new URLSearchParams(location.hash.slice(1));
  const group = data[named.get("group") ?? -1];
  const number = group?.tasks.indexOf(named.get("task")) ?? -1;
  if (number < 0) return;
  chooseGroup(Number(named.get("group")));
  openTask(number, Math.min(Math.max(1, Number(named.get("run")) || 1), group.runs.length));
}

function watchTask() {
  $("close").addEventListener("click", () => $("task").close());
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("run").addEventListener("change", () => openTask(open.task, Number($("run").value)));
  $("task").addEventListener("close", () => history.replaceState(null, "", "#"));
  $("task").addEventListener("click", (event) => event.target === $("task") && $("task").close());
  addEventListener("hashchange", openNamed);
}
