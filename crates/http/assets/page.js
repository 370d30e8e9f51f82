// Six things: dialogs, copying, notes while typing, the evidence of a rotation, an empty field behind a new key, and
// forms that are sent once.
// The page works without any of them.
(() => {
  "use strict";
  const part = (url, options) =>
    fetch(url, { credentials: "same-origin", ...options, headers: { "X-Part": "dialog", ...(options && options.headers) } });
  const nodes = (text) => [...new DOMParser().parseFromString(text, "text/html").body.childNodes];

  // 1. A link to a dialog opens over the page. The focus returns to the link. Of two clicks, the second counts.
  let clicks = 0;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const mine = ++clicks;
    let text = null;
    try {
      const answer = await part(link.href);
      if (answer.ok && !answer.redirected) text = await answer.text();
    } catch {
      // The page of its own says what is wrong.
    }
    if (mine !== clicks) return;
    if (text === null) return location.assign(link.href);
    const dialog = document.createElement("dialog");
    dialog.append(...nodes(text));
    const title = dialog.querySelector("h1");
    if (title) {
      title.id = "dialog-title";
      dialog.setAttribute("aria-labelledby", title.id);
    }
    dialog.addEventListener("click", (inside) => {
      if (!inside.target.closest("[data-close]")) return;
      inside.preventDefault();
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      link.focus();
    });
    (document.querySelector(".ak") || document.body).append(dialog);
    dialog.showModal();
  });

  // 2. Copy. The button is there only if it can work.
  for (const button of document.querySelectorAll("[data-copy]")) {
    const field = document.getElementById(button.dataset.copy);
    field.addEventListener("focus", () => field.select());
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(field.value);
        document.getElementById("copied").textContent = button.dataset.said;
      } catch {
        field.focus();
      }
    });
  }

  // 3. Notes, 300 ms after the last change of the form.
  let waiting;
  let asked = 0;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-notes]");
    if (!form) return;
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const mine = ++asked;
      try {
        const answer = await part(form.dataset.notes, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        const notes = form.querySelector(".notes");
        if (answer.ok && !answer.redirected && mine === asked && notes) notes.replaceChildren(...nodes(await answer.text()));
      } catch {
        // The form itself says what is wrong.
      }
    }, 300);
  });

  // 4. The evidence of a rotation, every five seconds while somebody looks.
  const evidence = document.querySelector("[data-poll]");
  if (evidence) {
    setInterval(async () => {
      if (document.visibilityState !== "visible") return;
      try {
        const answer = await part(evidence.dataset.poll);
        // The session ended: the page as it is now leads to signing in.
        if (answer.redirected || answer.status === 401) return location.reload();
        if (!answer.ok) return;
        const fresh = document.createElement("div");
        fresh.append(...nodes(await answer.text()));
        const [verdict, next] = [evidence, fresh].map((of) => of.querySelector("[role=status]"));
        // The verdict's own element stays, so that a change of its text is announced.
        if (verdict && next) {
          if (verdict.className !== next.className || verdict.dataset.stage !== next.dataset.stage) return location.reload();
          if (verdict.textContent !== next.textContent) verdict.textContent = next.textContent;
          next.replaceWith(verdict);
        }
        evidence.replaceChildren(...fresh.childNodes);
      } catch {
        // The next time.
      }
    }, 5000);
  }

  // 5. Nothing of a new key stays in a page that Back or a reload shows: both show the list.
  for (const field of document.querySelectorAll("[data-secret]")) history.replaceState(null, "", field.dataset.secret);
  addEventListener("pagehide", () => {
    for (const field of document.querySelectorAll("[data-secret]")) {
      field.value = "";
      field.removeAttribute("value");
    }
  });

  // 6. A form is sent once by a double click: the answer to the first may have the only text of a new key.
  const sent = new WeakMap();
  document.addEventListener("submit", (event) => {
    const last = sent.get(event.target);
    if (event.target.method === "post" && event.timeStamp - last < 1000) return event.preventDefault();
    sent.set(event.target, event.timeStamp);
  });
})();
