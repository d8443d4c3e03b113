// Looks at a page as a reader would, and returns what is wrong with it.
(() => {
  const problems = [];
  const wrong = (what, at) => { if (problems.length < 20) problems.push(what + ": " + at.slice(0, 120)); };
  const width = document.documentElement.clientWidth;

  if (document.documentElement.scrollWidth > width) wrong("the page is wider than its window", document.documentElement.scrollWidth + " px");
  const foreign = document.querySelectorAll("script, img, link, iframe, object, embed, base, form, input, a, audio, video, image, use, foreignObject");
  for (const e of foreign) wrong("an element that has no place here", e.outerHTML);
  for (const e of document.querySelectorAll("*"))
    for (const a of e.attributes)
      if (a.name.startsWith("on") || a.name === "style" || a.name === "href" || a.name === "src") wrong("an attribute that has no place here", a.name + "=" + a.value);
  if (document.styleSheets.length !== 1 || getComputedStyle(document.querySelector("section")).borderRadius === "") wrong("style", "missing");

  // Text, by lines, as far as it can be seen.
  const hidden = e => { const c = e.closest("thead"); return (c && getComputedStyle(c).clipPath !== "none") || e.closest("title, desc, style, head"); };
  const lines = [];
  const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  const luminance = c => {
    const [r, g, b] = c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const rgb = text => (text.match(/[\d.]+/g) || []).map(Number);
  const background = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || hidden(e)) continue;
    const style = getComputedStyle(e);
    if (!e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) wrong("invisible text", node.data);
    if (parseFloat(style.fontSize) < (matchMedia("print").matches ? 8 : 11)) wrong("small text, " + style.fontSize, node.data);
    const ink = rgb(e.namespaceURI.endsWith("svg") ? style.fill : style.color);
    if (contrast(ink.slice(0, 3), background(e)) < 4.5) wrong("pale text, contrast " + contrast(ink.slice(0, 3), background(e)).toFixed(2), node.data);
    const box = e.closest("bdi") && getComputedStyle(e.closest("bdi")).overflowY !== "visible" ? e.closest("bdi").getBoundingClientRect() : null;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const r of range.getClientRects()) {
      const line = { left: r.left, right: r.right, top: r.top, bottom: r.bottom, node };
      if (box) { line.top = Math.max(line.top, box.top); line.bottom = Math.min(line.bottom, box.bottom); }
      if (line.bottom - line.top < 1 || line.right - line.left < 1) continue;
      if (line.left < -0.5 || line.right > width + 0.5) wrong("text beyond the window", node.data);
      const section = e.closest("section, aside, dl > div");
      if (section) {
        const s = section.getBoundingClientRect();
        if (line.left < s.left - 0.5 || line.right > s.right + 0.5 || line.bottom > s.bottom + 0.5) wrong("text beyond its section", node.data);
      }
      lines.push(line);
    }
  }
  // Two lines of text share no more than what fonts reserve above and below.
  lines.sort((a, b) => a.top - b.top);
  for (let i = 0; i < lines.length; i++)
    for (let j = i + 1; j < lines.length && lines[j].top < lines[i].bottom; j++) {
      const a = lines[i], b = lines[j];
      if (a.node === b.node) continue;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - b.top;
      if (across > 1 && down > 4) wrong("text over text", a.node.data + " | " + b.node.data);
    }

  // Columns of the plots, and bars in tables.
  let columns = 0;
  for (const plot of document.querySelectorAll("svg.plot")) {
    const frame = plot.getBoundingClientRect();
    let right = frame.left;
    if (!document.getElementById(plot.getAttribute("aria-labelledby").split(" ")[0])) wrong("plot", "without title");
    for (const rect of plot.querySelectorAll("rect")) {
      columns++;
      const r = rect.getBoundingClientRect(), name = rect.textContent;
      if (r.width < 2 || r.height < 2) wrong("column too small, " + r.width + " × " + r.height, name);
      if (r.left < right - 0.01 || r.right > frame.right + 0.01 || r.top < frame.top || r.bottom > frame.bottom) wrong("column out of place", name);
      if (contrast(rgb(getComputedStyle(rect).fill).slice(0, 3), background(plot.parentElement)) < 3) wrong("pale column", name);
      right = r.right;
    }
  }
  let bars = 0;
  for (const bar of document.querySelectorAll("svg.bar")) {
    bars++;
    const whole = bar.getBoundingClientRect(), part = bar.querySelector("rect").getBoundingClientRect();
    if (whole.width < 60 || part.width < 0.5 || part.height < 4 || part.right > whole.right + 0.5) wrong("bar", part.width + " of " + whole.width);
  }
  for (const cell of document.querySelectorAll("td.n")) {
    if (getComputedStyle(cell).textAlign !== "right") wrong("number not at the right", cell.textContent);
    const range = document.createRange();
    range.selectNodeContents([...cell.childNodes].find(n => n.textContent.trim()));
    const r = range.getBoundingClientRect(), line = 2 * parseFloat(getComputedStyle(cell).fontSize);
    if (r.height > line) wrong("number broken", cell.textContent);
    if (Math.abs(r.right - (cell.getBoundingClientRect().right - parseFloat(getComputedStyle(cell).paddingRight))) > 1) wrong("number not at its cell's end", cell.textContent);
  }
  return { problems, columns, bars, lines: lines.length, title: document.title, scripts: document.scripts.length };
})()
