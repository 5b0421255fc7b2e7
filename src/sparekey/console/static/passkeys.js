// Passkeys: a button with the server's options asks the device, and its answer goes into the form's hidden field.

const bytesOf = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const textOf = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// The standard's own functions for this (parseCreationOptionsFromJSON, toJSON) are missing in browsers still in use.
const optionsOf = (json) => {
  const options = JSON.parse(json);
  options.challenge = bytesOf(options.challenge);
  if (options.user) options.user.id = bytesOf(options.user.id);
  for (const list of [options.excludeCredentials, options.allowCredentials]) {
    for (const credential of list ?? []) credential.id = bytesOf(credential.id);
  }
  return options;
};

const answerOf = (credential) => {
  const { response } = credential;
  const answer = { clientDataJSON: textOf(response.clientDataJSON) };
  if (response.attestationObject) {
    answer.attestationObject = textOf(response.attestationObject);
    answer.transports = response.getTransports?.() ?? [];
  } else {
    answer.authenticatorData = textOf(response.authenticatorData);
    answer.signature = textOf(response.signature);
    if (response.userHandle) answer.userHandle = textOf(response.userHandle);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: textOf(credential.rawId),
    type: credential.type,
    response: answer,
    clientExtensionResults: {},
  });
};

const reasons = {
  NotAllowedError: "The device did not confirm: it was cancelled, or took too long.",
  InvalidStateError: "This device has a passkey of this account already.",
  SecurityError: "The browser allows no passkeys at this address.",
};

for (const button of document.querySelectorAll("button[data-passkey]")) {
  const status = document.getElementById("passkey-status");
  const tell = (text) => { status.textContent = text; };
  if (!window.PublicKeyCredential) {
    button.disabled = true;
    tell("This browser has no passkeys here; they need https, or localhost.");
    continue;
  }
  tell("");
  button.addEventListener("click", async () => {
    const { form } = button;
    // What must be typed beside it comes first: the device's answer is good for five minutes only.
    if (button.dataset.passkey === "create" && !form.reportValidity()) return;
    button.disabled = true;
    tell("Waiting for your device …");
    try {
      const publicKey = optionsOf(button.dataset.options);
      const credential = button.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey });
      document.getElementById(button.dataset.into).value = answerOf(credential);
      tell("Confirmed by your device.");
      if (form.checkValidity()) form.requestSubmit();
      else form.reportValidity();
    } catch (error) {
      button.disabled = false;
      tell(reasons[error.name] ?? `The device did not confirm (${error.name}).`);
    }
  });
}
