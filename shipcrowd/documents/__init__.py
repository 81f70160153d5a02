"""Papers: shipping labels, packing slips, manifests; courier PDFs put together with ours; where the bytes are kept.

`papers` says what a document holds, `render` makes PDFs of it, `merge` joins PDFs, `store` keeps them. `code128`,
`fitting`, `wording`, `labels`, `slips` and `manifests` are the pure parts: values in, a layout out.
The fonts come from the npm lock file: `python tools/assets.py`.

Not here: which shipment gets a label, who may read it (shipping); GST invoices as records (billing).
"""
