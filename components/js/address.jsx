import { useContext, useMemo } from "react";
import { useLocation } from "react-router";
import { StateStoreContext } from "$/utils/context-registry";

/**
 * The page within, to which a page state that was read for another address looks as if nothing had been read yet.
 *
 * `field` is what a state says its address by; one without, or with an empty one, is shown everywhere.
 */
export function OfAddress({ field, children }) {
  const store = useContext(StateStoreContext);
  const here = useLocation().pathname.replace(/\/+$/, "");
  const seen = useMemo(
    () => ({
      ...store,
      getSnapshot: (name) => {
        const state = store.getSnapshot(name);
        // Without a snapshot a component takes what the state begins with.
        return (state?.[field] || here) === here ? state : undefined;
      },
    }),
    [store, here, field],
  );
  return <StateStoreContext.Provider value={seen}>{children}</StateStoreContext.Provider>;
}
