// Charts: plotly is unpacked with the first of them, and each is drawn when it comes near the window.

let plotly = null;

function loaded() {
  plotly ??= unpacked("plotly").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
    return globalThis.Plotly;
  });
  return plotly;
}

/** A colour of the style sheet as it is in the present theme. */
function colour(name) {
  const probe = make("i", { class: "probe" });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function coloured(spec, width) {
  const [ink, line, paper] = ["--ink", "--line", "--paper"].map(colour);
  const palette = Array.from({ length: 8 }, (_, number) => colour(`--c${number + 1}`));
  const traces = spec.data.map((trace) => {
    const own = trace.meta.run ? palette[(trace.meta.run - 1) % 8] : ink;
    return {
      ...trace,
      line: { ...trace.line, color: own },
      marker: { ...trace.marker, color: own },
      error_y: { ...trace.error_y, color: own },
    };
  });
  const axis = { gridcolor: line, linecolor: line, tickfont: { color: ink } };
  const layout = {
    ...spec.layout,
    width,
    height: 340 + 22 * Math.max(0, spec.data.length - 3),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { ...spec.layout.hoverlabel, bgcolor: paper, bordercolor: ink, font: { color: ink } },
    xaxis: { ...spec.layout.xaxis, ...axis },
    yaxis: { ...spec.layout.yaxis, ...axis },
  };
  return [traces, layout, { displayModeBar: false, scrollZoom: false, doubleClick: false }];
}

async function draw(box, width = box.clientWidth) {
  const spec = JSON.parse(box.querySelector("script").textContent);
  const Plotly = await loaded();
  box.drawing ??= box.appendChild(make("div", { "aria-hidden": "true" }));
  await Plotly.react(box.drawing, ...coloured(spec, width));
  box.dataset.drawn = width;
}

let last = Promise.resolve();

/** Draw it once the page has nothing else to do: each takes a moment, in which nothing can be clicked. */
function drawWhenIdle(box) {
  const soon = globalThis.requestIdleCallback ?? ((done) => setTimeout(done, 50)); // not every browser has it
  const idle = () => new Promise((done) => soon(done, { timeout: 1000 }));
  const next = () => idle().then(() => draw(box));
  last = last.then(next, next);
}

const drawn = () => [...document.querySelectorAll(".chart[data-drawn]")];
const redraw = () => drawn().forEach((box) => box.clientWidth && draw(box));

function watchCharts() {
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      near.unobserve(entry.target);
      drawWhenIdle(entry.target);
    }),
    { rootMargin: "400px" },
  );
  document.querySelectorAll(".chart").forEach((box) => near.observe(box));
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => drawn().forEach((box) => box.clientWidth && draw(box, 640)));
  addEventListener("afterprint", redraw);
}
