// A chart as a figure: heading, sentence, picture, and the same numbers as a table. Plotly is fetched only when one is drawn.
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { Icon } from "./icon.jsx";
import { useLive } from "./live.jsx";
import { formatDate, formatValue, isDateKind } from "./matrix_format.js";

const DASHES = ["solid", "6px,3px", "2px,3px", "8px,3px,2px,3px", "1px,4px", "10px,4px"];
const MARKERS = ["circle", "square", "triangle-up", "diamond", "x", "cross"];
const MARKERS_MAX_POINTS = 48; // beyond, markers become a band of ink; the dash still tells series apart
const SERIES_MAX = 6;

let library = null;
const plotly = () => (library ??= import("plotly.js-basic-dist-min").then((module) => module.default ?? module));

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const colourOf = (index) => (index < SERIES_MAX ? token(`series-${index + 1}`) : token("text-3"));

function tracesOf({ kind, rows, series, hidden, valueKind, xKind, currency, zone, partialLast }) {
  const isTime = isDateKind(xKind);
  const x = isTime ? wallTimes(rows, xKind, zone).x : rows.map((row) => row.x);
  return series.map((one, index) => {
    const y = rows.map((row) => (row[one.key] === null || row[one.key] === undefined ? null : Number(row[one.key])));
    const colour = colourOf(index);
    const text = rows.map((row) => `${one.label}: ${formatValue(valueKind, row[one.key], { currency })}`);
    const shared = { x, y, name: one.label, visible: hidden.includes(one.key) ? "legendonly" : true, text, hoverinfo: "text", textposition: "none" };
    if (kind === "bar") {
      const shape = rows.map((_, at) => (partialLast && at === rows.length - 1 ? "/" : ""));
      return { ...shared, type: "bar", marker: { color: colour, pattern: { shape, solidity: 0.4, fgcolor: colour, bgcolor: token("surface") }, line: { color: shape.map((one) => (one ? colour : token("surface"))), width: 1 } } };
    }
    return {
      ...shared,
      type: "scatter",
      mode: rows.length <= MARKERS_MAX_POINTS ? "lines+markers" : "lines",
      connectgaps: false,
      line: { color: colour, width: index < SERIES_MAX ? 2 : 1, dash: DASHES[index] ?? "solid", shape: "linear" },
      marker: { color: colour, size: 6, symbol: MARKERS[index] ?? "circle" },
      fill: kind === "area" && series.length === 1 ? "tozeroy" : "none",
      fillcolor: token("info-tint"),
    };
  });
}

/** The wall time of `instant` in `zone`, as Plotly's axis without zones takes it. */
function inZone(instant, zone) {
  const parts = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone }).format(new Date(instant));
  return parts.replace(" ", "T");
}

/** Where the rows stand. Where clocks show an hour twice, wall times would lay one bar over another: names keep them apart. */
function wallTimes(rows, xKind, zone) {
  const times = rows.map((row) => inZone(row.x, zone));
  if (new Set(times).size === times.length) return { x: times, type: "date" };
  return { x: rows.map((row) => formatDate(row.x, xKind === "time" ? "time" : "datetime", zone)), type: "category" };
}

function layoutOf({ kind, rows, stacked, valueKind, xKind, currency, zone }) {
  const axis = { color: token("text-3"), gridcolor: token("line"), linecolor: token("line"), zeroline: false, automargin: true, fixedrange: true };
  const isMoney = valueKind === "money";
  return {
    barmode: stacked ? "stack" : "group",
    bargap: 0.25,
    margin: { l: 8, r: 8, t: 8, b: 8 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: token("surface"), bordercolor: token("control"), font: { color: token("text"), size: 13 } },
    font: { family: "Inter, system-ui, sans-serif", size: 12, color: token("text-3") },
    xaxis: { ...axis, showgrid: false, type: isDateKind(xKind) ? wallTimes(rows, xKind, zone).type : "category", nticks: 8 },
    yaxis: {
      ...axis,
      rangemode: "tozero",
      nticks: 5,
      tickformat: valueKind === "percent" ? ".0%" : isMoney ? "" : "~s",
      ticksuffix: isMoney ? `\u00a0${currency ?? ""}` : "",
      griddash: kind === "line" ? "solid" : undefined,
    },
  };
}

function Canvas({ options, label, texts }) {
  const frame = useRef(null);
  const [state, setState] = useState("loading");
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const redraw = () => setTheme((count) => count + 1);
    window.addEventListener("matrix:theme", redraw);
    return () => window.removeEventListener("matrix:theme", redraw);
  }, []);
  useEffect(() => {
    let gone = false;
    plotly()
      .then((Plotly) => {
        if (gone || !frame.current) return undefined;
        return Plotly.react(frame.current, tracesOf(options), layoutOf(options), { displayModeBar: false, responsive: true });
      })
      .then(() => {
        if (gone || !frame.current) return;
        markPartial(frame.current, options);
        setState("drawn");
      })
      .catch(() => !gone && setState("failed"));
    return () => {
      gone = true;
    };
  }, [options, theme]);
  useEffect(() => () => void library?.then((Plotly) => frame.current && Plotly.purge(frame.current)), []);
  if (state === "failed") return <p className="muted">{texts.failed}</p>;
  return (
    <div className={`chart-canvas ${state === "loading" ? "skeleton" : ""}`} role="img" aria-label={label} aria-busy={state === "loading" || undefined}>
      <div ref={frame} style={{ position: "absolute", inset: 0 }} />
    </div>
  );
}

function markPartial(frame, { partialLast, kind }) {
  if (!partialLast || kind !== "bar") return;
  frame.querySelectorAll(".bars").forEach((trace) => trace.querySelector(".point:last-child")?.classList.add("partial"));
}

function Legend({ series, hidden, toggle, kind, label }) {
  if (series.length < 2) return null;
  return (
    <div className="chart-legend" role="group" aria-label={label}>
      {series.map((one, index) => (
        <button key={one.key} type="button" aria-pressed={!hidden.includes(one.key)} onClick={() => toggle(one.key)}>
          <svg viewBox="0 0 24 12" aria-hidden="true">
            {kind === "bar" ? (
              <rect width="12" height="12" x="6" rx="2" style={{ fill: `var(--series-${index + 1}, var(--text-3))` }} />
            ) : (
              <path d="M0 6H24" style={{ stroke: `var(--series-${index + 1}, var(--text-3))`, strokeWidth: 2, strokeDasharray: DASHES[index] === "solid" ? "none" : DASHES[index]?.replaceAll("px", "") }} />
            )}
          </svg>
          {one.label}
        </button>
      ))}
    </div>
  );
}

function NumbersTable({ id, title, rows, series, xLabel, xKind, valueKind, currency, zone, partialLast, texts }) {
  return (
    <div className="table-scroll on-phone-scroll chart-table" id={id} tabIndex={0} role="region" aria-label={title}>
      <table className="table">
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            <th scope="col">{xLabel}</th>
            {series.map((one) => (
              <th key={one.key} scope="col" className="num">
                {one.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={row.x}>
              <th scope="row" className="num-start">
                <bdi>{formatValue(xKind, row.x, { zone })}</bdi>
                {partialLast && index === rows.length - 1 && <span className="faint"> *</span>}
              </th>
              {series.map((one) => (
                <td key={one.key} className="num">
                  <data className="num" value={row[one.key] ?? ""}>
                    {formatValue(valueKind, row[one.key], { currency })}
                  </data>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Text that a spreadsheet would run is quoted; numbers keep their sign. */
function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+@\t\r]/.test(text) || (text.startsWith("-") && Number.isNaN(Number(text))) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download(title, rows, series, xLabel) {
  const lines = [[xLabel, ...series.map((one) => one.label)], ...rows.map((row) => [row.x, ...series.map((one) => row[one.key])])];
  const blob = new Blob([lines.map((line) => line.map(cell).join(",")).join("\r\n")], { type: "text/csv;charset=utf-8" });
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.csv`;
  anchor.click();
  URL.revokeObjectURL(anchor.href);
}

export function Chart({ title, summary, level = 2, kind = "line", rows: given, series, stacked = false, valueKind = "number", currency, xKind = "datetime", xLabel, zone = "UTC", partialLast = false, topic, path, texts }) {
  const rows = useLive(topic, path, given) ?? [];
  const shown = series ?? [];
  const [asTable, setAsTable] = useState(false);
  const [hidden, setHidden] = useState([]);
  const id = useId();
  const key = JSON.stringify([rows, shown, hidden]);
  const options = useMemo(
    () => ({ kind, rows, series: shown, hidden, stacked, valueKind, xKind, currency, zone, partialLast }),
    [key, kind, stacked, valueKind, xKind, currency, zone, partialLast],
  );
  const toggle = (one) => setHidden((all) => (all.includes(one) ? all.filter((other) => other !== one) : [...all, one]));
  const Heading = `h${level}`;
  const column = xLabel || texts.time;
  return (
    <figure className="chart" aria-labelledby={`${id}-title`}>
      <figcaption>
        <div className="chart-head">
          <Heading id={`${id}-title`}>{title}</Heading>
          <div className="chart-actions">
            <button type="button" className="button quiet compact" aria-expanded={asTable} aria-controls={`${id}-table`} onClick={() => setAsTable(!asTable)}>
              <Icon name={asTable ? "chart-column" : "table"} />
              {asTable ? texts.show_chart : texts.show_table}
            </button>
            <button type="button" className="button quiet compact" onClick={() => download(title, rows, shown, column)}>
              <Icon name="download" />
              {texts.download}
            </button>
          </div>
        </div>
        <p className="chart-summary">{summary}</p>
      </figcaption>
      {rows.length === 0 ? (
        <p className="muted">{texts.none}</p>
      ) : asTable ? (
        <NumbersTable id={`${id}-table`} title={title} xLabel={column} texts={texts} {...options} />
      ) : (
        <>
          <Canvas options={options} label={`${title}. ${summary}`} texts={texts} />
          <Legend series={shown} hidden={hidden} toggle={toggle} kind={kind} label={title} />
        </>
      )}
      {partialLast && rows.length > 0 && <p className="small faint">* {texts.partial}</p>}
    </figure>
  );
}
