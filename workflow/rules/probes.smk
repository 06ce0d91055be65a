rule probe:
    """Measure eigenpairs, the spectrum, the trace, activations or a saddle at one point."""
    input:
        code=ancient(ask(jobs.code_files, "state")),
        weights=ask(jobs.weights_file, "state"),
        directions=ask(jobs.directions_of_probe, "state", "probe"),
        data=ask(jobs.data_file, "state"),
    output:
        numbers=f"{RESULTS}/probes/{{state}}/{{probe}}.nc",
        vectors=f"{RESULTS}/probes/{{state}}/{{probe}}.safetensors",
    log:
        f"{RESULTS}/logs/probe/{{state}}/{{probe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/probe/{{state}}/{{probe}}.tsv"
    resources:
        mem_mb=grown(memory.of_probe, "state", "probe"),
        slot=1,
    params:
        spec=ask(specs.of_probe, "state", "probe"),
        code=content(jobs.code_files, "state"),
        weights=ask(jobs.weights, "state"),
    shell:
        "landscape probe --spec {params.spec:q} --name {wildcards.probe:q} --weights {params.weights:q}"
        " --directions {input.directions:q} --data {input.data:q} --output {output:q} > {log:q} 2>&1"
