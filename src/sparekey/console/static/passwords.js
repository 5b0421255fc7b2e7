// A button beside each password that shows what was typed, and hides it again before the form is sent.

for (const field of document.querySelectorAll("input[data-show=password]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet reveal";
  const set = (shown) => {
    field.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} the password`);
    button.setAttribute("aria-pressed", String(shown));
  };
  set(false);
  button.addEventListener("click", () => { set(field.type === "password"); });
  // Else the browser would offer to complete it as ordinary text.
  field.form.addEventListener("submit", () => { set(false); });
  field.after(button);
}
