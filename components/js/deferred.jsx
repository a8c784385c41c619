// Parts made of React Aria are fetched by the pages that draw them: it weighs 43 kB, and most pages draw none.
import { Suspense, useEffect, useState } from "react";

/** Draws `part`, a lazy component, with the other props; `waiting` until it is there, and in the first HTML. */
export function Deferred({ part: Part, waiting, ...props }) {
  const [mounted, setMounted] = useState(false);
  useEffect(() => setMounted(true), []);
  if (!mounted) return waiting;
  return (
    <Suspense fallback={waiting}>
      <Part {...props} />
    </Suspense>
  );
}
