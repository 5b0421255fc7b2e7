// What makes pages nicer, and nothing that they need: times in the reader's zone, copy buttons, menus that close.

const pad = (number) => String(number).padStart(2, "0");

// The same number of characters as the server wrote, so that nothing moves.
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.valueOf())) continue;
  const day = `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
  const clock = `${pad(moment.getHours())}:${pad(moment.getMinutes())}`;
  if (time.dataset.precision === "day") time.textContent = day;
  else if (time.dataset.precision === "second") time.textContent = `${day} ${clock}:${pad(moment.getSeconds())}`;
  else time.textContent = `${day} ${clock}`;
  time.title = `${moment.toString()}`;
}

const live = document.createElement("p");
live.className = "sr";
live.setAttribute("role", "status");
document.body.append(live);

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  const label = button.innerHTML;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    let told = "Copied";
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Without TLS browsers lend no clipboard to addresses other than this machine's; the text is selected instead.
      getSelection().selectAllChildren(source);
      told = "Selected: press Ctrl+C";
    }
    button.textContent = told;
    live.textContent = told;
    setTimeout(() => { button.innerHTML = label; }, 2500);
  });
}

const menus = document.querySelectorAll("details.menu");
document.addEventListener("click", (event) => {
  for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus) {
    if (!menu.open) continue;
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What is shown once goes when its page is left, also from the copy that a browser keeps for its Back button.
addEventListener("pagehide", () => {
  for (const once of document.querySelectorAll("[data-once]")) once.remove();
});
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-shown-once]")) location.reload();
});
