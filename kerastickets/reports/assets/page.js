"use strict";
(() => {
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const themes = ["system", "light", "dark"];
  let theme = "system";
  try { theme = localStorage.getItem("kerastickets-theme") || theme; } catch { /* a browser may forbid it */ }

  const dark = () => theme === "dark" || (theme !== "light" && prefersDark.matches);
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  // Plotly interprets tags in text. Names come from files, so they are escaped and appear literally.
  const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%\{/g, "% {");
  const shown = (variable, format) => `%{${variable}:${format || ".5~g"}}`;
  // Plotly chooses the tick positions, so percentages keep all needed digits: 97.5 % must not become 98 %.
  const ticks = (format) => (format.endsWith("%") ? "~%" : format);

  function lines(chart, series, index, shade) {
    const isText = series.x.some((x) => typeof x === "string");
    const group = { name: safe(series.name), legendgroup: `s${index}` };
    const listed = chart.series.length > 1 && chart.named.includes(index);
    const value = (axis, format) => (axis === "x" && isText ? "%{x}" : shown(axis, format));
    const ends = series.low ? series.low.map((low, n) => [low, series.high[n]]) : undefined;
    const hover = `<b>${group.name}</b><br>${safe(chart.x_label)}: ${value("x", chart.x_format)}<br>${safe(chart.y_label)}: ${value("y", chart.y_format)}`
      + (ends ? `<br>${shown("customdata[0]", chart.y_format)} to ${shown("customdata[1]", chart.y_format)}` : "") + "<extra></extra>";
    const bars = ends && { type: "data", symmetric: false, thickness: 1, width: 3,
      array: series.y.map((y, n) => series.high[n] - y), arrayminus: series.y.map((y, n) => y - series.low[n]) };
    const x = isText ? series.x.map(safe) : series.x;
    const own = { ...group, x, y: series.y, customdata: ends, hovertemplate: hover, showlegend: listed };
    if (series.style === "bar") {
      return [{ ...own, x: series.x.map((x) => safe(x)), type: "bar", error_y: bars && { ...bars, color: colour("text") }, marker: { color: shade, pattern: { shape: series.dashed ? "/" : "" } } }];
    }
    if (series.style === "area") {
      return [{ ...own, type: "scatter", mode: "lines", stackgroup: "areas", fillcolor: shade, line: { color: shade, width: 0.5 } }];
    }
    const traces = [];
    if (ends && series.style !== "points") {
      const known = series.x.map((_, n) => n).filter((n) => series.low[n] !== null && series.high[n] !== null);
      const back = [...known].reverse();
      traces.push({ ...group, type: "scatter", mode: "lines", fill: "toself", fillcolor: `${shade}2e`, line: { width: 0 },
        x: [...known, ...back].map((n) => x[n]), y: [...known.map((n) => series.high[n]), ...back.map((n) => series.low[n])],
        hoverinfo: "skip", showlegend: series.style === "band" && listed });
    }
    if (series.style !== "band") {
      const mode = { line: "lines", points: "markers", "line+points": "lines+markers" }[series.style];
      const symbol = ["circle", "square", "diamond", "triangle-up", "triangle-down", "x", "cross", "star"][index % 8];
      traces.push({ ...own, type: "scatter", mode, error_y: series.style === "points" ? bars : undefined,
        line: { color: shade, width: 2, dash: series.dashed ? "dash" : "solid" }, marker: { color: shade, size: 7, symbol } });
    }
    return traces;
  }

  function axis(title, log, format, extra) {
    return { title: { text: safe(title), standoff: 8, font: { size: 13 } }, type: log ? "log" : undefined, dtick: log ? "D2" : undefined,
      tickformat: ticks(format || ""), automargin: true, zeroline: false, gridcolor: colour("line"), linecolor: colour("quiet"), ...extra };
  }

  function layout(extra) {
    return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 12, t: 30, b: 48 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("text") }, hovermode: "closest",
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("text") }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("quiet"), activecolor: colour("text") }, ...extra };
  }

  function chart(facts, width) {
    const shades = dark() ? facts.dark : facts.light;
    const traces = facts.series.flatMap((series, index) => lines(facts, series, index, shades[index]));
    const data = [...traces.filter((trace) => trace.fill), ...traces.filter((trace) => !trace.fill)]; // bands first, so that no band hides a line
    const range = facts.y_range && facts.y_range.map((y) => (facts.y_log ? Math.log10(y) : y));
    const named = facts.named.map((index) => facts.series[index].name);
    const across = Math.max(1, Math.floor((width - 40) / (60 + 7.5 * Math.max(1, ...named.map((name) => name.length)))));
    const rows = facts.series.length > 1 ? Math.ceil(named.length / across) : 0;
    const whole = facts.series.flatMap((series) => series.x);
    const few = !facts.x_log && whole.length > 0 && whole.every(Number.isInteger) && Math.max(...whole) - Math.min(...whole) <= 12;
    const words = facts.series.some((series) => series.style === "bar" || series.x.some((x) => typeof x === "string"));
    return { data, layout: layout({ height: 360 + 22 * rows, barmode: facts.stacked ? "stack" : "group", bargap: 0.3,
      margin: { l: 56, r: 12, t: 30, b: 56 + 22 * rows },
      legend: { orientation: "h", x: 0, xanchor: "left", yref: "container", y: 0, yanchor: "bottom", traceorder: "normal" },
      xaxis: axis(facts.x_label, facts.x_log, facts.x_format, { showgrid: false, showline: true, ticks: "outside", tickcolor: colour("quiet"),
        ...(words ? { type: "category" } : {}), ...(few ? { dtick: 1 } : {}), autorange: facts.x_reversed ? "reversed" : true }),
      yaxis: axis(facts.y_label, facts.y_log, facts.y_format, range ? { range } : {}) }) };
  }

  function heatmap(facts, width) {
    const stops = dark() ? facts.dark : facts.light;
    const fine = Math.max(facts.x_labels.length, facts.y_labels.length) > 26; // pixels, as in `drawing`
    const roomy = !fine && (width - 140) / facts.x_labels.length >= 34;
    const names = (labels, title, extra) => axis(title, false, "", { type: "category", showgrid: false, tickangle: "auto", ...extra });
    const trace = { type: "heatmap", x: facts.x_labels.map(safe), y: facts.y_labels.map(safe), z: facts.values, zmin: facts.range?.[0], zmax: facts.range?.[1], xgap: fine ? 0 : 1, ygap: fine ? 0 : 1,
      colorscale: stops.map((stop, n) => [n / (stops.length - 1), stop]), texttemplate: roomy ? `%{z:${facts.format}}` : undefined,
      textfont: { size: 11 }, colorbar: { thickness: 10, outlinewidth: 0, tickformat: ticks(facts.format) },
      hovertemplate: `${safe(facts.y_label || "row")}: %{y}<br>${safe(facts.x_label || "column")}: %{x}<br><b>%{z:${facts.format}}</b><extra></extra>` };
    return { data: [trace], layout: layout({ height: Math.min(640, Math.max(260, 110 + 26 * facts.y_labels.length)),
      xaxis: names(facts.x_labels, facts.x_label), yaxis: names(facts.y_labels, facts.y_label, { autorange: "reversed", ...(fine ? { scaleanchor: "x", constrain: "domain" } : {}) }) }) };
  }

  function network(facts) {
    const shades = dark() ? facts.dark : facts.light;
    const edges = facts.kinds.map(() => []);
    const dots = facts.kinds.map(() => []);
    facts.edges.forEach((edge) => edges[edge.kind].push(edge));
    facts.neurons.forEach((neuron, n) => dots[neuron.kind].push({ ...neuron, n }));
    const pale = facts.edges.length > 300;
    const size = Math.min(11, Math.max(4, 400 / Math.max(1, facts.tallest)));
    // The most important kind is drawn last, on top. Each line has its own invisible hover point, so that no two coincide.
    const order = [...facts.kinds.keys()].reverse();
    const data = order.flatMap((kind) => {
      const group = { type: "scatter", name: safe(facts.kinds[kind]), legendgroup: `k${kind}` };
      const hollow = facts.kinds[kind] === "isolated";
      const at = edges[kind].map((edge) => [facts.neurons[edge.source], facts.neurons[edge.target], edge]);
      const place = (axis) => at.map(([a, b], n) => a[axis] + (b[axis] - a[axis]) * (0.25 + 0.5 * ((n * 0.618) % 1)));
      return [
        { ...group, mode: "lines", line: { color: shades[kind], width: pale ? 0.8 : 1.3 }, opacity: pale ? 0.5 : 0.8, hoverinfo: "skip", showlegend: false,
          x: at.flatMap(([a, b]) => [a.x, b.x, null]), y: at.flatMap(([a, b]) => [a.y, b.y, null]) },
        { ...group, mode: "markers", marker: { size: 6, color: shades[kind], opacity: 0 }, x: place("x"), y: place("y"), showlegend: false,
          hovertext: at.map(([, , edge]) => safe(edge.text).replace(/\n/g, "<br>")), hoverinfo: "text" },
        { ...group, mode: "markers", x: dots[kind].length ? dots[kind].map(({ x }) => x) : [null], y: dots[kind].length ? dots[kind].map(({ y }) => y) : [null], legendrank: kind, showlegend: true,
          marker: { size: hollow ? 0.6 * size : size, color: hollow ? colour("page") : shades[kind], line: { width: 1, color: shades[kind] } },
          hovertext: dots[kind].map(({ text }) => safe(text).replace(/\n/g, "<br>")), hoverinfo: "text" },
      ];
    });
    const marks = data.filter((trace) => trace.showlegend);
    const bottom = Math.max(1, ...facts.neurons.map(({ y }) => y)) + 0.04;
    const plain = { showgrid: false, zeroline: false, showline: false };
    return { data: [...data.filter((trace) => !trace.showlegend), ...marks], layout: layout({ height: Math.min(760, Math.max(340, 120 + 16 * facts.tallest)),
      margin: { l: 12, r: 12, t: 30, b: 80 },
      legend: { orientation: "h", x: 0, xanchor: "left", yref: "container", y: 0, yanchor: "bottom" },
      xaxis: { ...plain, tickvals: facts.layers.map((_, n) => n), ticktext: facts.layers.map(safe), range: [-0.5, facts.layers.length - 0.5], automargin: true },
      yaxis: { ...plain, range: [bottom, -0.04], showticklabels: false } }) };
  }

  const makers = { chart, heatmap, network };
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  const plots = [...document.querySelectorAll("script[data-plot]")].map((script) => [document.getElementById(script.dataset.plot), JSON.parse(script.textContent)]);
  const draw = () => Promise.all(plots.map(([box, facts]) => {
    const { data, layout } = makers[facts.kind](facts, box.clientWidth);
    box.style.minHeight = `${layout.height}px`;
    return Plotly.react(box, data, layout, config);
  }));

  async function start() {
    const packed = document.getElementById("plotly");
    if (!packed) return;
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const source = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    await draw();
    root.dataset.drawn = "yes";
    const redraw = () => draw();
    prefersDark.addEventListener("change", redraw);
    document.addEventListener("theme", redraw);
    let width = innerWidth, waiting;
    addEventListener("resize", () => {
      if (innerWidth === width) return;
      width = innerWidth;
      clearTimeout(waiting);
      waiting = setTimeout(redraw, 150);
    });
  }

  function missing(error) {
    for (const [box] of plots) {
      box.textContent = `This browser cannot draw the chart (${error.message}). Its numbers are below.`;
      box.style.minHeight = "0";
      box.closest("figure").querySelector("details").open = true;
    }
  }

  function sort(header) {
    const body = header.closest("table").tBodies[0];
    const column = header.cellIndex;
    const down = header.getAttribute("aria-sort") === "ascending";
    const value = (row) => {
      const cell = row.cells[column];
      if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
      return cell.classList.contains("number") || cell.textContent === "\u2013" ? null : cell.textContent;
    };
    const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : down ? order(b, a) : order(a, b)));
    for (const other of header.parentElement.cells) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("table.sortable th button");
    if (button) sort(button.closest("th"));
  });

  const toggle = document.getElementById("theme");
  const apply = () => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    toggle.textContent = `Theme: ${theme}`;
    document.dispatchEvent(new Event("theme"));
  };
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("kerastickets-theme", theme); } catch { /* the choice lasts until the page is closed */ }
    apply();
  });
  if (!themes.includes(theme)) theme = "system";
  apply();
  start().catch(missing);
})();
