import { useLive } from "./live.jsx";

const WIDTH = 100;
const HEIGHT = 24;

/** `points` are numbers, or objects whose `field` is one; an object that starts in the future is not drawn. */
export function Sparkline({ points, label, topic, path, field = "value" }) {
  const all = useLive(topic, path, points) ?? [];
  const now = Date.now();
  const shown = all.filter((point) => !point?.start || Date.parse(point.start) <= now).map((point) => Number(point?.[field] ?? point));
  if (all.length < 2 || shown.length === 0) return <svg className="sparkline" aria-hidden="true" />;
  const top = Math.max(...shown, Number.MIN_VALUE);
  const x = (index) => (index / (all.length - 1)) * WIDTH;
  const y = (value) => HEIGHT - (Math.max(0, value) / top) * (HEIGHT - 2) - 1;
  const line = shown.map((value, index) => `${index ? "L" : "M"}${x(index).toFixed(2)} ${y(value).toFixed(2)}`).join("");
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={line} />
    </svg>
  );
}
