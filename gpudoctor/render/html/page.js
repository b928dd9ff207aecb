"use strict";
(() => {
  const said = document.getElementById("said");

  // ---- copying: by the clipboard, else by a selection, else the text stays selected for the reader's own keys
  const textOf = (button) => {
    const around = button.closest(button.dataset.copy === "all" ? ".commands" : ".command");
    return [...around.querySelectorAll("code")];
  };
  const select = (codes) => {
    const range = document.createRange();
    range.setStartBefore(codes[0]);
    range.setEndAfter(codes[codes.length - 1]);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const bySelection = (codes) => {
    select(codes);
    try {
      return document.execCommand("copy");
    } catch {
      return false;
    }
  };
  const copied = async (codes) => {
    try {
      await navigator.clipboard.writeText(codes.map((code) => code.textContent).join("\n"));
      return true;
    } catch {
      return bySelection(codes);
    }
  };
  const tell = (button, words) => {
    const before = button.dataset.words || button.textContent;
    button.dataset.words = before;
    button.textContent = words;
    said.textContent = words === "Copied" ? "Copied to the clipboard" : "Selected: copy with your keyboard";
    setTimeout(() => {
      button.textContent = before;
      said.textContent = "";
    }, 2500);
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      tell(button, (await copied(textOf(button))) ? "Copied" : "Selected");
    });
  }

  // ---- the facts: every word that is typed must stand in a row
  const field = document.getElementById("filter");
  if (field) {
    const box = field.closest(".filter");
    const groups = [...document.querySelectorAll("details.group")].map((group) => ({
      group,
      rows: [...group.querySelectorAll("tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
    }));
    const count = groups.reduce((sum, { rows }) => sum + rows.length, 0);
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const { group, rows } of groups) {
        let here = 0;
        for (const { row, text } of rows) {
          row.hidden = !words.every((word) => text.includes(word));
          here += row.hidden ? 0 : 1;
        }
        group.hidden = here === 0;
        group.open = words.length > 0 && here > 0;
        shown += here;
      }
      box.querySelector("[role=status]").textContent = words.length ? `${shown} of ${count} values` : "";
    };
    field.addEventListener("input", filter);
    box.hidden = false;
  }

  // ---- on paper nothing is folded but rules and facts, of which only what the reader has opened is printed
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll(":is(.verdict, .findings, .jobs) details:not([open])")) {
      one.open = true;
      one.dataset.folded = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const one of document.querySelectorAll("details[data-folded]")) {
      one.open = false;
      delete one.dataset.folded;
    }
  });
})();
