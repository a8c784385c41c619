// How hard a password is to guess, said while it is typed. The server has the last word: it also knows the common ones.
const GOOD_BITS = 50;
const STRONG_BITS = 70;

/** "short", "weak", "fair" or "strong"; empty for nothing typed. */
export function strengthOf(password, minLength) {
  if (!password) return "";
  if ([...password].length < minLength) return "short";
  const distinct = new Set(password.toLowerCase()).size;
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\d/, /[^\p{L}\d]/u].filter((kind) => kind.test(password)).length;
  // Repeated letters and runs such as "abcd" or "4321" add little.
  let steps = 0;
  for (let at = 1; at < password.length; at += 1) {
    if (Math.abs(password.charCodeAt(at) - password.charCodeAt(at - 1)) > 1) steps += 1;
  }
  const bits = Math.min(steps + 1, distinct * 2) * (2.6 + 0.7 * kinds);
  if (bits < GOOD_BITS) return "weak";
  return bits < STRONG_BITS ? "fair" : "strong";
}
