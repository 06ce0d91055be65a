rule dataset:
    """Download or read a data set, once for all runs."""
    input:
        ancient(ask(jobs.source_files, "data")),
    output:
        f"{RESULTS}/data/{{data}}.safetensors",
    log:
        f"{RESULTS}/logs/dataset/{{data}}.log",
    localrule: True
    params:
        spec=ask(specs.of_data, "data"),
        source=content(jobs.source_files, "data"),
    shell:
        "landscape dataset --spec {params.spec:q} --name {wildcards.data:q} --output {output:q} > {log:q} 2>&1"
