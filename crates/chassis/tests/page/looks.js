// What is wrong with how the page looks now, as sentences: widths, heights and contrasts, measured in the browser.

const wrong = [];
const root = document.documentElement;
const name = (element) => `${element.tagName.toLowerCase()}.${element.className}#${element.id}`;
const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
const all = (selector) => [...document.querySelectorAll(selector)].filter(isShown);

if (root.scrollWidth > root.clientWidth) {
  wrong.push(`the page is ${root.scrollWidth} pixels wide, the window ${root.clientWidth}`);
}
for (const element of all("body *")) {
  const { right } = element.getBoundingClientRect();
  if (right > root.clientWidth + 0.5) {
    wrong.push(`${name(element)} ends at ${right}`);
  }
}
const controls = all("a, button, input, select, textarea, summary");
for (const element of controls) {
  const { height } = element.getBoundingClientRect();
  if (height < 44) {
    wrong.push(`${name(element)} is ${height} pixels high`);
  }
}

// WCAG 2.2, "relative luminance" and "contrast ratio".
const channels = (color) => color.match(/[\d.]+/g).map(Number);
const luminance = (color) => {
  const [red, green, blue] = channels(color)
    .slice(0, 3)
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (one, other) => {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const isOpaque = (color) => color.startsWith("rgb(");
// What lies behind an element, or in it.
const ground = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const color = getComputedStyle(one).backgroundColor;
    if (isOpaque(color)) {
      return color;
    }
  }
  throw new Error(`nothing opaque lies behind ${name(element)}`);
};
const compare = (what, one, other, least) => {
  if (!isOpaque(one)) {
    wrong.push(`${what} has the color ${one}`);
  } else if (contrast(one, other) < least) {
    wrong.push(`${what} has the contrast ${contrast(one, other).toFixed(2)}, not ${least}: ${one} on ${other}`);
  }
};

let texts = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (walker.currentNode.data.trim() && isShown(element)) {
    texts += 1;
    compare(`the text of ${name(element)}`, getComputedStyle(element).color, ground(element), 4.5);
  }
}
for (const element of all("input, select, textarea")) {
  compare(`the value of ${name(element)}`, getComputedStyle(element).color, ground(element), 4.5);
  compare(`the placeholder of ${name(element)}`, getComputedStyle(element, "::placeholder").color, ground(element), 4.5);
}
for (const element of all("input, select, textarea, button")) {
  compare(`the border of ${name(element)}`, getComputedStyle(element).borderTopColor, ground(element.parentElement), 3);
}
for (const element of all(".primary")) {
  compare(`the primary button`, getComputedStyle(element).backgroundColor, ground(element.parentElement), 3);
}
for (const element of all("summary, a, button, input, select, textarea, pre")) {
  element.focus({ focusVisible: true });
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
  if (document.activeElement !== element || outlineStyle !== "solid" || parseFloat(outlineWidth) < 2) {
    wrong.push(`the focus on ${name(element)} is ${outlineStyle}, ${outlineWidth} wide`);
  }
  compare(`the focus on ${name(element)}`, outlineColor, ground(element.parentElement), 3);
}

return { wrong, texts, controls: controls.length, width: innerWidth, ground: luminance(ground(document.body)) };
