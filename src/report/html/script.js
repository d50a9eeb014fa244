"use strict";
(() => {
  const make = (tag, text, names) => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (names) element.className = names;
    return element;
  };
  const status = document.body.appendChild(make("p", "", "hidden"));
  status.setAttribute("role", "status");

  // Copy buttons.
  const copy = async (code) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      return document.execCommand("copy");
    }
  };
  for (const command of document.querySelectorAll(".cmd")) {
    const code = command.querySelector("code");
    const button = make("button", "Copy", "copy");
    button.type = "button";
    button.setAttribute("aria-label", "Copy " + code.textContent);
    button.addEventListener("click", async () => {
      const done = await copy(code);
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      status.textContent = button.textContent;
      setTimeout(() => { button.textContent = "Copy"; status.textContent = ""; }, 2000);
    });
    command.append(button);
  }

  // A card opens when something leads to it; all of them do for print.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const card = target && target.closest("details");
    if (!card) return;
    card.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const card of document.querySelectorAll("details.card:not([open])")) {
      card.open = true;
      opened.push(card);
    }
  });
  addEventListener("afterprint", () => { for (const card of opened.splice(0)) card.open = false; });

  // Where a trend is wider than the screen, its end says most.
  for (const trend of document.querySelectorAll("#chart-green .wide, #chart-stock .wide")) trend.scrollLeft = trend.scrollWidth;

  const table = document.getElementById("causes");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];

  // Sorting: each click turns the order round.
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const kind = head.dataset.k;
    if (!kind) return;
    const button = make("button", head.textContent, "sort");
    button.type = "button";
    head.replaceChildren(button);
    const key = (row) => {
      const cell = row.cells[column];
      if (kind === "n") return Number(cell.dataset.v);
      return (column === 0 ? cell.querySelector(".what") : cell).textContent.trim();
    };
    button.addEventListener("click", () => {
      const first = kind === "n" && column > 1 ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        const which = kind === "n" ? x - y : x < y ? -1 : x > y ? 1 : 0;
        return sign * which || a.dataset.p - b.dataset.p;
      };
      body.append(...rows.sort(compare));
      status.textContent = "Sorted by " + button.textContent + ", " + order;
    });
  });

  // Filtering.
  const form = document.getElementById("filter");
  const field = (name) => document.getElementById("f-" + name);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const has = (list, one) => one === "" || list.split(" ").includes(one);
  const filter = () => {
    const words = field("text").value.toLowerCase().split(/\s+/);
    const owner = field("owner").value;
    let shown = 0;
    for (const row of rows) {
      const { verdict, state, owner: owners } = row.dataset;
      const fits = words.every((word) => texts.get(row).includes(word))
        && has(verdict, field("verdict").value)
        && has(state, field("state").value)
        && (owner === "-" ? owners === "" : has(owners, owner));
      row.hidden = !fits;
      shown += fits;
    }
    const all = rows.length === 1 ? "1 row" : `${rows.length} rows`;
    field("count").textContent = shown === rows.length ? `All of ${all}` : `${shown} of ${all}`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.hidden = false;
  filter();
})();
