// Behaviour of the recipient form beyond htmx: file uploads, repeated rows, macros and dependent fields. The form works without it.
(() => {
  'use strict';

  // The question whether a recipient is paused or disabled.
  // Whoever asked gets the focus back, also if the button was replaced meanwhile.
  document.addEventListener('htmx:afterSwap', (e) => {
    const ask = e.detail.target;
    if (ask?.id !== 'ask' || ask.open) return;
    const asker = document.activeElement?.id;
    ask.addEventListener('close', () => document.getElementById(asker)?.focus(), { once: true });
    ask.showModal();
  });
  document.addEventListener('click', (e) => { if (e.target.closest('#ask a[data-closes]')) e.preventDefault(); });
  document.addEventListener('htmx:afterRequest', (e) => {
    if (e.detail.successful && e.detail.elt.matches?.('form[data-asks]')) e.detail.elt.closest('dialog')?.close();
  });

  const changed = (field) => field.dispatchEvent(new Event('input', { bubbles: true }));

  // Shows the fields that belong to the selected option.
  const arrange = () => {
    for (const part of document.querySelectorAll('[data-when]')) {
      const choice = document.getElementById(part.dataset.when);
      if (choice) part.hidden = choice.value !== part.dataset.is;
    }
  };
  document.addEventListener('DOMContentLoaded', () => { document.documentElement.classList.add('has-script'); arrange(); });
  document.addEventListener('htmx:load', arrange);

  // Copies a selected file into its text field, so that its contents are shown before saving and kept after an error.
  document.addEventListener('change', async (e) => {
    arrange();
    if (!(e.target instanceof HTMLInputElement) || e.target.type !== 'file' || !e.target.files.length) return;
    const text = document.getElementById(e.target.id.replace(/File$/, 'Pem'));
    if (!text || text === e.target) return;
    text.value = await e.target.files[0].text();
    e.target.value = '';
    changed(text);
  });

  // Inserts a macro at the last cursor position in a subject or body.
  let last = null;
  const remember = (e) => {
    if (e?.matches('[name^="email."]:is([name$="ubject"], [name$="ody"])')) last = e;
  };
  document.addEventListener('focusin', (e) => remember(e.target));
  remember(document.activeElement); // somebody may have been there before this script
  const insert = (macro) => {
    const field = last && last.isConnected ? last : document.getElementById('f-email-body');
    if (!field) return;
    field.setRangeText(macro, field.selectionStart, field.selectionEnd, 'end');
    field.focus();
    changed(field);
  };

  // The server never returns secrets. Typed secrets are restored after a response that refuses the form.
  const secrets = () => document.querySelectorAll('#recipient-form :is(input[type=password], [name$="privateKeyPem"])');
  let kept = null;
  document.addEventListener('htmx:beforeSwap', (e) => {
    if (e.detail.target?.id !== 'recipient-page') return;
    kept = e.detail.xhr.status === 422 ? Array.from(secrets(), (f) => [f.name, f.value]) : null;
  });
  document.addEventListener('htmx:afterSettle', () => {
    if (!kept) return;
    for (const field of secrets()) {
      const i = kept.findIndex(([name]) => name === field.name);
      if (i >= 0) [[, field.value]] = kept.splice(i, 1);
    }
    kept = null;
  });

  const another = (button) => {
    const rows = button.closest('fieldset').querySelector('[data-rows]');
    const row = rows.lastElementChild.cloneNode(true);
    for (const field of row.querySelectorAll('input, select, textarea')) field.value = '';
    rows.append(row);
    row.querySelector('input:not([type=hidden]), select')?.focus();
  };

  document.addEventListener('click', (e) => {
    const b = e.target.closest('[data-insert], [data-add-row], [data-check], [data-fill]');
    if (!b) return;
    if (b.dataset.insert) insert(b.dataset.insert);
    if ('addRow' in b.dataset) another(b);
    if (b.dataset.check) {
      const boxes = b.closest('[data-checks]').querySelectorAll('input[type=checkbox]');
      for (const box of boxes) box.checked = b.dataset.check === 'all';
      boxes[0]?.dispatchEvent(new Event('change', { bubbles: true }));
    }
    if (b.dataset.fill) {
      const field = document.getElementById(b.dataset.fill);
      field.value = b.dataset.text;
      changed(field);
      field.focus();
    }
  });
})();
