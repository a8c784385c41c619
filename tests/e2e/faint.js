// Texts that are too faint on the ground they are written on (WCAG 1.4.3), each pair of colours once. What lies over
// something that is not its parent, in a picture or switched off, axe alone can tell, for most of its time.
() => {
  const dot = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true}), known = {}, found = {};
  const rgba = (colour) => known[colour] ??= (() => {
    dot.clearRect(0, 0, 1, 1); dot.fillStyle = colour; dot.fillRect(0, 0, 1, 1);
    return [...dot.getImageData(0, 0, 1, 1).data];
  })();
  const light = (rgb) => rgb.slice(0, 3).map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const {backgroundColor, backgroundImage, opacity} = getComputedStyle(one), colour = rgba(backgroundColor);
      if (backgroundImage !== "none" || opacity !== "1" || (colour[3] > 0 && colour[3] < 255)) return null;
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement, said = texts.currentNode.data.trim();
    if (!said || one.closest("svg, [disabled], [aria-disabled=true], .visually-hidden")) continue;
    if (!one.checkVisibility()) continue;
    const {color, fontSize, fontWeight} = getComputedStyle(one), below = ground(one);
    if (!below || rgba(color)[3] < 255) continue;
    const [low, high] = [light(rgba(color)), light(below)].sort((a, b) => a - b);
    const size = parseFloat(fontSize), large = size >= 24 || (size >= 18.66 && fontWeight >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) found[color + below] = `${said.slice(0, 40)} is faint: ${ratio.toFixed(2)}`;
  }
  return Object.values(found);
}
