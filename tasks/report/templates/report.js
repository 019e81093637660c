"use strict";
(function () {
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const one = (selector, within) => (within || document).querySelector(selector);
  const bar = one(".bar"), body = one(".board tbody"), cards = one(".cards");

  // Which domains are shown, and in which order: one state, in the address, for table, cards and heat map.
  if (bar) {
    const rows = all("tr", body);
    const cardOf = new Map(all("article").map(card => [card.dataset.domain, card]));
    const search = one("input[type=search]", bar), sort = one("select", bar), boxes = all("input[type=checkbox]", bar);
    sort.dataset.by = "";
    const valueOf = (row, name) => (one(`[data-sort="${name}"]`, row) || { dataset: {} }).dataset.value;

    const named = hash => {
      try {
        return decodeURIComponent(hash);
      } catch (broken) {  // a lone percent sign
        return "";
      }
    };
    const state = () => {
      const asked = new URLSearchParams();
      if (search.value.trim()) asked.set("q", search.value.trim());
      for (const name of ["verdict", "new"]) {
        const ticked = boxes.filter(box => box.name === name && box.checked).map(box => box.value);
        if (ticked.length) asked.set(name, ticked.join(","));
      }
      if (sort.dataset.by) asked.set("sort", sort.dataset.by);
      return asked.toString().replaceAll("%2C", ",");
    };
    const restore = asked => {
      search.value = asked.get("q") || "";
      for (const box of boxes) box.checked = (asked.get(box.name) || "").split(",").includes(box.value);
      sort.dataset.by = asked.get("sort") || "";
    };
    const compare = (name, down) => (a, b) => {
      const x = valueOf(a, name), y = valueOf(b, name);
      if (!x || !y) return !x - !y;  // failed rows, and those without the figure, stay last
      const order = name === "domain" ? x.localeCompare(y) : Number(x) - Number(y);
      return down ? -order : order;
    };
    const show = () => {
      const text = search.value.trim().toLowerCase(), by = sort.dataset.by, name = by.replace(/^-/, "");
      const kinds = boxes.filter(box => box.name === "verdict" && box.checked).map(box => box.value);
      const onlyNew = boxes.some(box => box.name === "new" && box.checked);
      const ordered = by ? rows.slice().sort(compare(name, by[0] === "-")) : rows;
      const shown = ordered.filter(row => {
        const is = row.dataset;
        const fits = (!kinds.length || kinds.includes(is.verdict)) && (!onlyNew || "new" in is) && is.text.includes(text);
        for (const part of [row, cardOf.get(is.domain)]) if (part) part.hidden = !fits;
        return fits;
      });
      body.append(...ordered);
      cards.append(...ordered.map(row => cardOf.get(row.dataset.domain)).filter(Boolean));
      for (const head of all(".board thead th")) {
        if (head.dataset.sort === name && by) head.setAttribute("aria-sort", by[0] === "-" ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
      for (const cell of all(".board .figure")) cell.classList.toggle("sorted", cell.dataset.sort === name);
      sort.value = Array.from(sort.options, option => option.value).includes(by) ? by : "";
      one(".nothing").hidden = one(".board").hidden = false;
      one(".nothing").hidden = shown.length > 0;
      one(".board").hidden = shown.length === 0;
      const domains = `${rows.length} domain${rows.length === 1 ? "" : "s"}`;
      one(".count").value = shown.length < rows.length ? `${shown.length} of ${domains}` : domains;
      drawHeat(shown.map(row => row.dataset.domain));
    };
    const keep = replaces => {
      const asked = state(), address = asked ? `#?${asked}` : location.href.split("#")[0];
      try {
        history[replaces ? "replaceState" : "pushState"](null, "", address);
      } catch (refused) {  // a page within another one, such as MLflow's, has no address of its own
      }
    };
    const read = () => {
      const hash = location.hash.slice(1), card = cardOf.get(named(hash));
      if (!card) restore(new URLSearchParams(hash[0] === "?" ? hash.slice(1) : ""));
      if (card && card.hidden) restore(new URLSearchParams());
      show();
      if (card) land(card);
    };

    let typing = false;
    search.addEventListener("input", () => { keep(typing); typing = true; show(); });
    search.addEventListener("blur", () => { typing = false; });
    for (const box of boxes) box.addEventListener("change", () => { keep(); show(); });
    sort.addEventListener("change", () => { sort.dataset.by = sort.value; keep(); show(); });
    for (const head of all(".board thead th[data-sort]")) {
      one("button", head).addEventListener("click", () => {
        const name = head.dataset.sort, is = head.getAttribute("aria-sort");
        const up = name === "domain" ? is !== "ascending" : is === "descending";
        sort.dataset.by = name && (up ? name : `-${name}`);
        keep();
        show();
      });
    }
    bar.addEventListener("submit", event => event.preventDefault());
    one(".nothing button").addEventListener("click", () => { restore(new URLSearchParams()); keep(); show(); });
    addEventListener("popstate", read);
    read();
    new ResizeObserver(() => {
      const sticks = getComputedStyle(bar).position === "sticky";
      document.documentElement.style.setProperty("--bar", sticks ? `${bar.offsetHeight}px` : "0px");
    }).observe(bar);
  }

  // Cards out of sight have a guessed height, which is put right as they come near: follow until nothing moves any more.
  function land(card) {
    let tries = 20, before = NaN;
    const again = () => {
      card.scrollIntoView();
      const now = document.documentElement.scrollHeight - scrollY;
      if (now !== before && tries-- > 0) requestAnimationFrame(() => requestAnimationFrame(again));
      before = now;
    };
    again();
  }

  // The heat map, with the shown domains alone, in their order, and only the prompts that these find.
  function drawHeat(domains) {
    const svg = one(".heat svg");
    if (!svg) return;
    const [cell, left, top, right] = ["cell", "left", "top", "right"].map(name => Number(svg.dataset[name]));
    const rowOf = new Map(all("g", svg).map(row => [row.dataset.of, row]));
    const shown = domains.map(domain => rowOf.get(domain)).filter(Boolean);
    const found = shown.flatMap(row => all("rect", row).map(rect => rect.dataset.column));
    const others = Array.from(new Set(found)).sort((a, b) => a - b);
    const columns = new Map(Array.from(new Set([...shown.map(row => row.dataset.own).filter(own => own), ...others]), (name, at) => [name, at]));
    for (const row of rowOf.values()) row.toggleAttribute("hidden", !shown.includes(row));
    shown.forEach((row, at) => {
      row.setAttribute("transform", `translate(0 ${top + cell * at})`);
      for (const rect of all("rect", row)) rect.setAttribute("x", left + cell * columns.get(rect.dataset.column));
    });
    for (const prompt of all(".prompt", svg)) {
      const at = columns.get(prompt.dataset.column);
      prompt.toggleAttribute("hidden", at === undefined);
      if (at !== undefined) prompt.setAttribute("transform", `translate(${left + cell * (at + 0.5) + 4} ${top - 5}) rotate(-60)`);
    }
    svg.setAttribute("width", left + cell * columns.size + right);
    svg.setAttribute("height", top + cell * shown.length + 2);
    for (const line of all(".mistakes li")) line.hidden = !domains.includes(line.dataset.of);
    one(".confusion").hidden = shown.length === 0;
  }

  // What a tap explains.
  const explained = one(".explained");
  document.addEventListener("click", event => {
    const asked = event.target.closest("[data-explain]"), cell = event.target.closest(".heat rect");
    const text = asked ? asked.dataset.explain : cell ? one("title", cell).textContent : "";
    if (!text) return;
    explained.textContent = text;
    explained.showPopover(asked ? { source: asked } : {});
    explained.focus({ preventScroll: true });  // so that it is read aloud; Esc goes back to what was tapped
    const at = (asked || cell).getBoundingClientRect(), size = explained.getBoundingClientRect();
    const below = at.bottom + 6 + size.height < innerHeight;
    explained.style.left = `${Math.max(12, Math.min(at.left, document.documentElement.clientWidth - size.width - 12))}px`;
    explained.style.top = `${below ? at.bottom + 6 : Math.max(12, at.top - size.height - 6)}px`;
  });

  document.addEventListener("click", async event => {
    const button = event.target.closest(".copy");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
    } catch (refused) {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });

  // Pixels of a small picture are squares where it is shown much larger; whatever was made smaller stays smooth.
  const magnify = picture => {
    const drawn = picture.clientWidth * devicePixelRatio;
    picture.classList.toggle("magnified", "whole" in picture.dataset && drawn >= 1.5 * picture.naturalWidth);
  };
  const watcher = new ResizeObserver(entries => entries.forEach(entry => magnify(entry.target)));
  for (const picture of all("img")) {
    watcher.observe(picture);
    picture.addEventListener("load", () => magnify(picture));
  }

  // A picture alone: arrows go to the next one that is shown, a tap makes it larger still.
  const box = one(".lightbox"), stage = one(".stage"), large = one("img", stage);
  let at = 0, ratio = 1, opener = null;
  const pictures = () => all("article:not([hidden]) .zoom");
  const fit = () => {
    const width = stage.clientWidth, height = stage.clientHeight;
    const within = Math.min(width, height * ratio);
    const isNarrow = within < 0.75 * height * ratio && innerWidth <= 640;  // a phone upright: fill its height, and pan
    large.style.width = `${large.classList.contains("large") ? 2 * within : isNarrow ? Math.min(0.85 * height * ratio, 3 * within) : within}px`;
    magnify(large);
  };
  const turn = index => {
    const chosen = pictures(), shown = chosen[(index + chosen.length) % chosen.length];
    at = chosen.indexOf(shown);
    const picture = one("img", shown);
    ratio = picture.getAttribute("width") / picture.getAttribute("height");
    large.className = "";
    large.toggleAttribute("data-whole", "whole" in picture.dataset);
    large.src = picture.src;
    large.alt = picture.alt;
    one(".caption").textContent = `${shown.dataset.caption} (${at + 1} of ${chosen.length})`;
    fit();
  };
  document.addEventListener("click", event => {
    const asked = event.target.closest(".zoom, .open");
    if (!asked) return;
    opener = asked;
    const shown = asked.matches(".zoom") ? asked : one(".zoom", document.getElementById(asked.dataset.of));
    box.showModal();
    turn(pictures().indexOf(shown));
  });
  one(".previous", box).addEventListener("click", () => turn(at - 1));
  one(".next", box).addEventListener("click", () => turn(at + 1));
  one(".close", box).addEventListener("click", () => box.close());
  box.addEventListener("keydown", event => {
    if (event.key === "ArrowLeft" || event.key === "ArrowUp") turn(at - 1);
    else if (event.key === "ArrowRight" || event.key === "ArrowDown") turn(at + 1);
    else return;
    event.preventDefault();
  });
  stage.addEventListener("click", event => {
    if (event.target === stage) return box.close();
    large.classList.toggle("large");
    fit();
  });
  box.addEventListener("close", () => { large.removeAttribute("src"); if (opener) opener.focus(); });
  addEventListener("resize", () => { if (box.open) fit(); });
})();
