import { useLive } from "./live.jsx";

const WIDTH = 100;
const HEIGHT = 24;

/** `points` are numbers, or objects whose `field` is one; of an object that is yet to start only the place is drawn. */
export function Sparkline({ points, label, topic, path, field = "value", bars = false }) {
  const all = useLive(topic, path, points) ?? [];
  const now = Date.now();
  const shown = all.filter((point) => !point?.start || Date.parse(point.start) <= now).map((point) => Number(point?.[field] ?? point));
  if (all.length < 2 || shown.length === 0) return <svg className="sparkline" aria-hidden="true" />;
  const top = Math.max(...shown, Number.MIN_VALUE);
  const x = (index) => (index / (all.length - 1)) * WIDTH;
  const y = (value) => HEIGHT - (Math.max(0, value) / top) * (HEIGHT - 2) - 1;
  if (bars) {
    const width = WIDTH / all.length;
    return (
      <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {all.map((_, index) => {
          const height = index < shown.length ? Math.max((HEIGHT * shown[index]) / top, shown[index] > 0 ? 1 : 0) : 0;
          const place = { x: index * width + width * 0.15, width: width * 0.7 };
          return height > 0 ? (
            <rect key={index} {...place} y={HEIGHT - height} height={height} />
          ) : (
            <rect key={index} {...place} y={HEIGHT - 1} height={1} className="to-come" />
          );
        })}
      </svg>
    );
  }
  const line = shown.map((value, index) => `${index ? "L" : "M"}${x(index).toFixed(2)} ${y(value).toFixed(2)}`).join("");
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={line} />
    </svg>
  );
}
