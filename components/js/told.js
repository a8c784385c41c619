/**
 * What a page was told and has not shown yet, now that it shows `shown`; null when nobody here told it that. `told`
 * begins with what it showed before.
 */
export function unanswered(told, shown) {
  const at = told.lastIndexOf(shown);
  return at < 0 ? null : told.slice(at);
}
