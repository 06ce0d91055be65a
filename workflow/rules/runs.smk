rule train:
    """Train a network. An interrupted training resumes from its last epoch, in the undeclared folder .work."""
    input:
        code=ancient(ask(jobs.code_files, "run")),
        data=ask(jobs.data_file, "run"),
        before=ask(training_chain.before, "run"),
    output:
        weights=f"{RESULTS}/runs/{{run}}/weights.safetensors",
        history=f"{RESULTS}/runs/{{run}}/history.nc",
        epochs=f"{RESULTS}/runs/{{run}}/epochs.safetensors",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    wildcard_constraints:
        run=f"(?!({runs_that_are('adopted', 'rescaled')})/){artefacts.NAME}",
    threads: ask(jobs.threads, "run")
    resources:
        mem_mb=grown(memory.of_training, "run"),
        slot=1,
    params:
        spec=ask(specs.of_run, "run"),
        code=content(jobs.code_files, "run"),
    shell:
        "landscape train --spec {params.spec:q} --name {wildcards.run:q} --data {input.data:q}"
        " --output {output.weights:q} {output.history:q} {output.epochs:q} > {log:q} 2>&1"


rule part:
    """Train one of a run's `parts`. `left` further jobs follow; the last is `train`."""
    input:
        code=ancient(ask(jobs.code_files, "run")),
        data=ask(jobs.data_file, "run"),
        before=ask(training_chain.before, "run", "left"),
    output:
        temp(f"{RESULTS}/runs/{{run}}/{{left}}left.json"),
    log:
        f"{RESULTS}/logs/part/{{run}}/{{left}}left.log",
    benchmark:
        f"{RESULTS}/benchmarks/part/{{run}}/{{left}}left.tsv"
    wildcard_constraints:
        run=f"(?!({runs_that_are('adopted', 'rescaled')})/){artefacts.NAME}",
        left=r"[1-9]\d*",
    threads: ask(jobs.threads, "run")
    resources:
        mem_mb=grown(memory.of_training, "run"),
        slot=1,
    params:
        spec=ask(specs.of_run, "run"),
        code=content(jobs.code_files, "run"),
        until=ask(training_chain.end, "run", "left"),
    shell:
        "landscape part --spec {params.spec:q} --name {wildcards.run:q} --data {input.data:q} --until {params.until}"
        " --output {output:q} > {log:q} 2>&1"


rule adopt:
    """Check weights from elsewhere and adopt them as a run."""
    input:
        code=ancient(ask(jobs.code_files, "run")),
        data=ask(jobs.data_file, "run"),
        weights=ancient(ask(jobs.adopted_files, "run")),
    output:
        weights=f"{RESULTS}/runs/{{run}}/weights.safetensors",
        history=f"{RESULTS}/runs/{{run}}/history.nc",
        epochs=f"{RESULTS}/runs/{{run}}/epochs.safetensors",
    log:
        f"{RESULTS}/logs/adopt/{{run}}.log",
    wildcard_constraints:
        run=runs_that_are("adopted"),
    resources:
        mem_mb=grown(memory.of_training, "run"),
        slot=1,
    params:
        spec=ask(specs.of_run, "run"),
        code=content(jobs.code_files, "run"),
        adopted=content(jobs.adopted_files, "run"),
    shell:
        "landscape adopt --spec {params.spec:q} --name {wildcards.run:q} --data {input.data:q}"
        " --output {output.weights:q} {output.history:q} {output.epochs:q} > {log:q} 2>&1"


rule rescale:
    """Rescale another run's weights to an equivalent network."""
    input:
        code=ancient(ask(jobs.code_files, "run")),
        data=ask(jobs.data_file, "run"),
        weights=ask(jobs.origin_file, "run"),
    output:
        weights=f"{RESULTS}/runs/{{run}}/weights.safetensors",
        history=f"{RESULTS}/runs/{{run}}/history.nc",
        epochs=f"{RESULTS}/runs/{{run}}/epochs.safetensors",
    log:
        f"{RESULTS}/logs/rescale/{{run}}.log",
    wildcard_constraints:
        run=runs_that_are("rescaled"),
    resources:
        mem_mb=grown(memory.of_job, "run"),
        slot=1,
    params:
        spec=ask(specs.of_run, "run"),
        code=content(jobs.code_files, "run"),
        weights=ask(jobs.origin, "run"),
    shell:
        "landscape rescale --spec {params.spec:q} --name {wildcards.run:q} --data {input.data:q} --weights {params.weights:q}"
        " --output {output.weights:q} {output.history:q} {output.epochs:q} > {log:q} 2>&1"
