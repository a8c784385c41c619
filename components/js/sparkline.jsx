import { useLive } from "./live.jsx";

const WIDTH = 100;
const HEIGHT = 24;

export function Sparkline({ points, label, topic, path }) {
  const shown = (useLive(topic, path, points) ?? []).map((point) => Number(point?.value ?? point));
  if (shown.length < 2) return <svg className="sparkline" aria-hidden="true" />;
  const top = Math.max(...shown, Number.MIN_VALUE);
  const x = (index) => (index / (shown.length - 1)) * WIDTH;
  const y = (value) => HEIGHT - (Math.max(0, value) / top) * (HEIGHT - 2) - 1;
  const line = shown.map((value, index) => `${index ? "L" : "M"}${x(index).toFixed(2)} ${y(value).toFixed(2)}`).join("");
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={line} />
    </svg>
  );
}
